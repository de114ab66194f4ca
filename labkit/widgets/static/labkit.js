var vt=globalThis,St=t=>t,dt=vt.trustedTypes,Ht=dt?dt.createPolicy("lit-html",{createHTML:t=>t}):void 0,xt="$lit$",P=`lit$${Math.random().toFixed(9).slice(2)}$`,yt="?"+P,pe=`<${yt}>`,U=document,nt=()=>U.createComment(""),st=t=>t===null||typeof t!="object"&&typeof t!="function",wt=Array.isArray,Lt=t=>wt(t)||typeof t?.[Symbol.iterator]=="function",bt=`[ 	
\f\r]`,et=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,Ct=/-->/g,Nt=/>/g,D=RegExp(`>|${bt}(?:([^\\s"'>=/]+)(${bt}*=${bt}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),zt=/'/g,jt=/"/g,Ot=/^(?:script|style|textarea|title)$/i,At=t=>(e,...s)=>({_$litType$:t,strings:e,values:s}),c=At(1),X=At(2),Oe=At(3),V=Symbol.for("lit-noChange"),m=Symbol.for("lit-nothing"),Pt=new WeakMap,B=U.createTreeWalker(U,129);function Rt(t,e){if(!wt(t)||!t.hasOwnProperty("raw"))throw Error("invalid template strings array");return Ht!==void 0?Ht.createHTML(e):e}var Et=(t,e)=>{let s=t.length-1,i=[],n,r=e===2?"<svg>":e===3?"<math>":"",o=et;for(let u=0;u<s;u++){let d=t[u],h,x,a=-1,g=0;for(;g<d.length&&(o.lastIndex=g,x=o.exec(d),x!==null);)g=o.lastIndex,o===et?x[1]==="!--"?o=Ct:x[1]!==void 0?o=Nt:x[2]!==void 0?(Ot.test(x[2])&&(n=RegExp("</"+x[2],"g")),o=D):x[3]!==void 0&&(o=D):o===D?x[0]===">"?(o=n??et,a=-1):x[1]===void 0?a=-2:(a=o.lastIndex-x[2].length,h=x[1],o=x[3]===void 0?D:x[3]==='"'?jt:zt):o===jt||o===zt?o=D:o===Ct||o===Nt?o=et:(o=D,n=void 0);let p=o===D&&t[u+1].startsWith("/>")?" ":"";r+=o===et?d+pe:a>=0?(i.push(h),d.slice(0,a)+xt+d.slice(a)+P+p):d+P+(a===-2?u:p)}return[Rt(t,r+(t[s]||"<?>")+(e===2?"</svg>":e===3?"</math>":"")),i]},it=class t{constructor({strings:e,_$litType$:s},i){let n;this.parts=[];let r=0,o=0,u=e.length-1,d=this.parts,[h,x]=Et(e,s);if(this.el=t.createElement(h,i),B.currentNode=this.el.content,s===2||s===3){let a=this.el.content.firstChild;a.replaceWith(...a.childNodes)}for(;(n=B.nextNode())!==null&&d.length<u;){if(n.nodeType===1){if(n.hasAttributes())for(let a of n.getAttributeNames())if(a.endsWith(xt)){let g=x[o++],p=n.getAttribute(a).split(P),b=/([.?@])?(.*)/.exec(g);d.push({type:1,index:r,name:b[2],strings:p,ctor:b[1]==="."?pt:b[1]==="?"?ut:b[1]==="@"?ht:F}),n.removeAttribute(a)}else a.startsWith(P)&&(d.push({type:6,index:r}),n.removeAttribute(a));if(Ot.test(n.tagName)){let a=n.textContent.split(P),g=a.length-1;if(g>0){n.textContent=dt?dt.emptyScript:"";for(let p=0;p<g;p++)n.append(a[p],nt()),B.nextNode(),d.push({type:2,index:++r});n.append(a[g],nt())}}}else if(n.nodeType===8)if(n.data===yt)d.push({type:2,index:r});else{let a=-1;for(;(a=n.data.indexOf(P,a+1))!==-1;)d.push({type:7,index:r}),a+=P.length-1}r++}}static createElement(e,s){let i=U.createElement("template");return i.innerHTML=e,i}};function q(t,e,s=t,i){if(e===V)return e;let n=i!==void 0?s._$Co?.[i]:s._$Cl,r=st(e)?void 0:e._$litDirective$;return n?.constructor!==r&&(n?._$AO?.(!1),r===void 0?n=void 0:(n=new r(t),n._$AT(t,s,i)),i!==void 0?(s._$Co??=[])[i]=n:s._$Cl=n),n!==void 0&&(e=q(t,n._$AS(t,e.values),n,i)),e}var ct=class{constructor(e,s){this._$AV=[],this._$AN=void 0,this._$AD=e,this._$AM=s}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(e){let{el:{content:s},parts:i}=this._$AD,n=(e?.creationScope??U).importNode(s,!0);B.currentNode=n;let r=B.nextNode(),o=0,u=0,d=i[0];for(;d!==void 0;){if(o===d.index){let h;d.type===2?h=new G(r,r.nextSibling,this,e):d.type===1?h=new d.ctor(r,d.name,d.strings,this,e):d.type===6&&(h=new $t(r,this,e)),this._$AV.push(h),d=i[++u]}o!==d?.index&&(r=B.nextNode(),o++)}return B.currentNode=U,n}p(e){let s=0;for(let i of this._$AV)i!==void 0&&(i.strings!==void 0?(i._$AI(e,i,s),s+=i.strings.length-2):i._$AI(e[s])),s++}},G=class t{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(e,s,i,n){this.type=2,this._$AH=m,this._$AN=void 0,this._$AA=e,this._$AB=s,this._$AM=i,this.options=n,this._$Cv=n?.isConnected??!0}get parentNode(){let e=this._$AA.parentNode,s=this._$AM;return s!==void 0&&e?.nodeType===11&&(e=s.parentNode),e}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(e,s=this){e=q(this,e,s),st(e)?e===m||e==null||e===""?(this._$AH!==m&&this._$AR(),this._$AH=m):e!==this._$AH&&e!==V&&this._(e):e._$litType$!==void 0?this.$(e):e.nodeType!==void 0?this.T(e):Lt(e)?this.k(e):this._(e)}O(e){return this._$AA.parentNode.insertBefore(e,this._$AB)}T(e){this._$AH!==e&&(this._$AR(),this._$AH=this.O(e))}_(e){this._$AH!==m&&st(this._$AH)?this._$AA.nextSibling.data=e:this.T(U.createTextNode(e)),this._$AH=e}$(e){let{values:s,_$litType$:i}=e,n=typeof i=="number"?this._$AC(e):(i.el===void 0&&(i.el=it.createElement(Rt(i.h,i.h[0]),this.options)),i);if(this._$AH?._$AD===n)this._$AH.p(s);else{let r=new ct(n,this),o=r.u(this.options);r.p(s),this.T(o),this._$AH=r}}_$AC(e){let s=Pt.get(e.strings);return s===void 0&&Pt.set(e.strings,s=new it(e)),s}k(e){wt(this._$AH)||(this._$AH=[],this._$AR());let s=this._$AH,i,n=0;for(let r of e)n===s.length?s.push(i=new t(this.O(nt()),this.O(nt()),this,this.options)):i=s[n],i._$AI(r),n++;n<s.length&&(this._$AR(i&&i._$AB.nextSibling,n),s.length=n)}_$AR(e=this._$AA.nextSibling,s){for(this._$AP?.(!1,!0,s);e!==this._$AB;){let i=St(e).nextSibling;St(e).remove(),e=i}}setConnected(e){this._$AM===void 0&&(this._$Cv=e,this._$AP?.(e))}},F=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(e,s,i,n,r){this.type=1,this._$AH=m,this._$AN=void 0,this.element=e,this.name=s,this._$AM=n,this.options=r,i.length>2||i[0]!==""||i[1]!==""?(this._$AH=Array(i.length-1).fill(new String),this.strings=i):this._$AH=m}_$AI(e,s=this,i,n){let r=this.strings,o=!1;if(r===void 0)e=q(this,e,s,0),o=!st(e)||e!==this._$AH&&e!==V,o&&(this._$AH=e);else{let u=e,d,h;for(e=r[0],d=0;d<r.length-1;d++)h=q(this,u[i+d],s,d),h===V&&(h=this._$AH[d]),o||=!st(h)||h!==this._$AH[d],h===m?e=m:e!==m&&(e+=(h??"")+r[d+1]),this._$AH[d]=h}o&&!n&&this.j(e)}j(e){e===m?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,e??"")}},pt=class extends F{constructor(){super(...arguments),this.type=3}j(e){this.element[this.name]=e===m?void 0:e}},ut=class extends F{constructor(){super(...arguments),this.type=4}j(e){this.element.toggleAttribute(this.name,!!e&&e!==m)}},ht=class extends F{constructor(e,s,i,n,r){super(e,s,i,n,r),this.type=5}_$AI(e,s=this){if((e=q(this,e,s,0)??m)===V)return;let i=this._$AH,n=e===m&&i!==m||e.capture!==i.capture||e.once!==i.once||e.passive!==i.passive,r=e!==m&&(i===m||n);n&&this.element.removeEventListener(this.name,this,i),r&&this.element.addEventListener(this.name,this,e),this._$AH=e}handleEvent(e){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,e):this._$AH.handleEvent(e)}},$t=class{constructor(e,s,i){this.element=e,this.type=6,this._$AN=void 0,this._$AM=s,this.options=i}get _$AU(){return this._$AM._$AU}_$AI(e){q(this,e)}},It={M:xt,P,A:yt,C:1,L:Et,R:ct,D:Lt,V:q,I:G,H:F,N:ut,U:ht,B:pt,F:$t},ue=vt.litHtmlPolyfillSupport;ue?.(it,G),(vt.litHtmlVersions??=[]).push("3.3.3");var Dt=(t,e,s)=>{let i=s?.renderBefore??e,n=i._$litPart$;if(n===void 0){let r=s?.renderBefore??null;i._$litPart$=n=new G(e.insertBefore(nt(),r),r,void 0,s??{})}return n._$AI(t),n};var Bt=`.lk {
  --lk-text: var(--jp-ui-font-color1, #212121);
  --lk-line: var(--jp-border-color2, #e0e0e0);
  --lk-back: var(--jp-layout-color1, #fff);
  --lk-soft: var(--jp-layout-color2, #f3f3f3);
  --lk-focus: var(--jp-brand-color1, #1976d2);
  --lk-main: #0067a3;
  font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  font-size: 13px; line-height: 1.5; color: var(--lk-text); max-width: 100%; text-align: left;
}
.lk * { box-sizing: border-box; }
.lk-box {
  display: inline-block; vertical-align: top; min-width: min(30em, 100%); max-width: min(64em, 100%);
  padding: 8px 14px 10px; border: 1px solid var(--lk-line); border-radius: 6px; background: var(--lk-back);
}
.lk-head { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: baseline; margin-bottom: 4px; }
.lk-name { font-weight: 600; font-size: 15px; }
.lk-dim { color: var(--lk-dim); }
.lk-right { margin-left: auto; }
.lk-chip { border-radius: 3px; padding: 0 6px; font-size: 11px; font-weight: 600; white-space: nowrap; }
.lk-state { white-space: nowrap; }
.lk-sign { display: inline-block; min-width: 1.1em; text-align: center; }
.lk .lk-facts { display: grid; grid-template-columns: max-content 1fr; gap: 0 16px; margin: 0; }
.lk .lk-facts dt { color: var(--lk-dim); font-weight: normal; margin: 0; padding: 0; width: auto; float: none; }
.lk .lk-facts dd { margin: 0; padding: 0; width: auto; float: none; overflow-wrap: anywhere; }
.lk-verbs { display: flex; flex-wrap: wrap; gap: 4px; margin-top: 8px; align-items: center; }
.lk button {
  font: inherit; font-size: 12px; line-height: 1.4; padding: 2px 9px; border-radius: 4px; cursor: pointer;
  color: var(--lk-text); background: var(--lk-soft); border: 1px solid var(--lk-line);
}
.lk button:hover:not([aria-disabled="true"]) { border-color: var(--lk-dim); }
.lk button:focus-visible, .lk input:focus-visible, .lk select:focus-visible, .lk [tabindex]:focus-visible,
.lk summary:focus-visible {
  outline: 2px solid var(--lk-focus); outline-offset: 1px;
}
.lk button[aria-disabled="true"] { color: var(--lk-dim); cursor: default; background: none; }
.lk button[data-busy] { color: var(--lk-busy); border-color: var(--lk-busy); }
.lk button.lk-main { background: var(--lk-main); color: #fff; border-color: var(--lk-main); }
.lk button.lk-main[aria-disabled="true"] { background: none; color: var(--lk-dim); border-color: var(--lk-line); }
.lk button.lk-danger { color: var(--lk-failed); }
.lk button.lk-plain { border: 0; background: none; padding: 0 4px; }
.lk-absent { color: var(--lk-dim); font-size: 12px; cursor: help; border-bottom: 1px dotted; margin-left: 4px; }
.lk-doing { display: flex; gap: 8px; align-items: center; color: var(--lk-busy); margin-top: 6px; min-height: 20px; }
.lk-bar { flex: none; width: 11em; height: 6px; border-radius: 3px; background: var(--lk-soft); overflow: hidden; }
.lk-bar > div { height: 100%; background: var(--lk-busy); }
.lk-bar > div.lk-unknown { width: 100%; opacity: 0.35; }
.lk-error {
  margin-top: 8px; padding: 5px 10px; border-left: 3px solid var(--lk-failed); background: var(--lk-soft);
  display: flex; gap: 10px; align-items: flex-start; border-radius: 0 4px 4px 0; max-width: 60em; white-space: pre-wrap;
}
.lk-error > div { flex: 1; overflow-wrap: anywhere; }
.lk-ask { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; margin-top: 8px; padding: 6px 10px; background: var(--lk-soft); border-radius: 4px; }
.lk input[type="text"], .lk input[type="number"], .lk select {
  font: inherit; padding: 2px 6px; color: var(--lk-text); background: var(--lk-back);
  border: 1px solid var(--lk-dim); border-radius: 3px; min-width: 10em;
}
.lk pre {
  margin: 6px 0 0; padding: 6px 10px; max-height: 22em; overflow: auto; background: var(--lk-soft); color: var(--lk-text);
  font-family: var(--jp-code-font-family, monospace); font-size: 12px; line-height: 1.4; white-space: pre-wrap;
  overflow-wrap: anywhere; border-radius: 4px; border: 0;
}
.lk-use { display: inline-flex; gap: 10px; align-items: center; font-variant-numeric: tabular-nums; flex-wrap: wrap; }
.lk-use svg { vertical-align: middle; }
.lk-scroll { overflow: auto; max-height: 34em; border: 1px solid var(--lk-line); border-radius: 6px; background: var(--lk-back); max-width: 100%; }
.lk table { border-collapse: collapse; margin: 0; font-size: 13px; width: 100%; }
.lk table th, .lk table td {
  text-align: left; padding: 2px 14px 2px 8px; border: 0; vertical-align: middle; font-weight: normal; white-space: nowrap;
  color: var(--lk-text); background: none; line-height: 1.5;
}
.lk table tr { background: none; }
.lk table thead th { position: sticky; top: 0; background: var(--lk-soft); color: var(--lk-dim); z-index: 1; padding-top: 3px; padding-bottom: 3px; }
.lk table thead button { border: 0; background: none; padding: 0; color: inherit; font-size: 12px; }
.lk table tr.lk-host td, .lk table tr.lk-host th { border-top: 1px solid var(--lk-line); padding-top: 5px; }
.lk table tr.lk-row:hover td { background: var(--lk-soft); }
.lk table td.lk-number { text-align: right; font-variant-numeric: tabular-nums; }
.lk table td.lk-acts { padding: 1px 6px; }
.lk table td.lk-acts button { padding: 3px 6px; margin-right: 2px; min-width: 24px; min-height: 22px; line-height: 1; }
.lk table td.lk-acts svg { display: block; margin: auto; }
.lk table td.lk-addresses { white-space: normal; min-width: 8em; }
.lk .lk-fields { display: grid; grid-template-columns: max-content minmax(12em, 20em) 1fr; gap: 6px 14px; align-items: center; margin: 6px 0; }
.lk-fields input[type="checkbox"] { justify-self: start; margin: 0 4px 0 0; vertical-align: -1px; }
.lk-fields .lk-help { color: var(--lk-dim); font-size: 12px; }
.lk-fields .lk-wrong { color: var(--lk-failed); font-size: 12px; }
.lk-screen img { display: block; max-width: 100%; image-rendering: auto; border: 1px solid var(--lk-line); border-radius: 4px; cursor: zoom-in; width: 240px; }
.lk-screen[data-large] img { width: auto; cursor: zoom-out; }
.lk-screen button { padding: 0; border: 0; background: none; }
.lk-terminal { border: 1px solid var(--lk-line); border-radius: 6px; overflow: hidden; background: var(--lk-back); }
.lk-terminal-head { display: flex; gap: 10px; padding: 2px 10px; font-size: 12px; color: var(--lk-dim); background: var(--lk-soft); }
.lk-terminal-body { padding: 4px 0 4px 6px; background: #101418; resize: vertical; overflow: hidden; min-height: 4em; }
.lk-topo { display: block; width: 100%; max-height: 80em; min-height: 6em; cursor: grab; touch-action: pan-y; user-select: none; overflow: hidden; }
.lk-topo[data-held] { cursor: grabbing; }
.lk-topo text { font-family: var(--jp-ui-font-family, system-ui, sans-serif); pointer-events: none; }
.lk-t-region { fill: var(--lk-soft); stroke: var(--jp-border-color1, #c0c0c0); }
.lk-t-card { fill: var(--lk-back); stroke: var(--jp-border-color1, #c0c0c0); }
.lk-t-grip { cursor: move; touch-action: none; }
.lk-t-machine { cursor: pointer; touch-action: none; }
.lk-t-machine:hover .lk-t-card { stroke: var(--lk-dim); }
.lk .lk-t-machine:focus { outline: none; }
.lk-t-machine:focus-visible .lk-t-card, .lk-t-machine .lk-t-card.lk-t-chosen { stroke: var(--lk-focus); stroke-width: 2.5; }
.lk-t-ink { fill: var(--lk-text); }
.lk-t-running { fill: var(--lk-running); }
.lk-t-paused { fill: var(--lk-paused); }
.lk-t-busy { fill: var(--lk-busy); }
.lk-t-failed { fill: var(--lk-failed); }
.lk-t-dim { fill: var(--lk-dim); }
.lk-t-net0 { stroke: var(--lk-net0); }
.lk-t-net1 { stroke: var(--lk-net1); }
.lk-t-net2 { stroke: var(--lk-net2); }
.lk-t-net3 { stroke: var(--lk-net3); }
.lk-t-net4 { stroke: var(--lk-net4); }
.lk-t-net5 { stroke: var(--lk-net5); }
.lk-t-down { stroke: var(--lk-dim); }
.lk-t-faint { opacity: 0.25; }
.lk-t-wide { fill: none; stroke: transparent; stroke-width: 9; }
.lk-topo-card { color: var(--lk-dim); margin: 8px 0 -8px; }
.lk-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) { .lk-bar > div { background: Highlight; } }
`;function $e(t,e){let s=t.getRootNode(),i=s instanceof ShadowRoot?s:document.head;if(!i.querySelector("style[data-labkit]")){let n=document.createElement("style");n.dataset.labkit="",n.textContent=`${e.palette}
${Bt}`,i.append(n)}}var W=globalThis.labkitTwins??=new Map;function ge(t){if(!t)return()=>{};let e=()=>{let s=document.head.querySelector("style[data-labkit-twins]");s||(s=document.createElement("style"),s.dataset.labkitTwins="",document.head.append(s)),s.textContent=[...W.keys()].map(i=>`[data-lk-twin="${i}"], .jp-OutputArea-child:has([data-lk-twin="${i}"]) { display: none; }`).join(`
`)};return W.set(t,(W.get(t)??0)+1),e(),()=>{W.set(t,W.get(t)-1),W.get(t)||W.delete(t),e()}}function me(t){return t.comm_live===!1||t.comm?.jsServicesComm?.isDisposed===!0}function N({model:t,el:e,looks:s},i,n=()=>{}){$e(e,s),e.classList.add("lk");let r=!1,o=0,u=()=>{o=0,Dt(i(r),e),n(e)},d=()=>{o||=requestAnimationFrame(u)},h=setInterval(async()=>{let g=await t.widget_manager.get_model(t.get("own"));r!==me(g)&&(r=!r,d())},1e3);t.on("change",d);let x=ge(t.get("twin"));u();let a=()=>{cancelAnimationFrame(o),t.off("change",d),clearInterval(h),x()};return a.redraw=d,a.lost=()=>r,a}var L="The kernel was restarted: this is how it was. Run the cell again to have it live.";function Y(t,e,s=e){let[i,n]=t.signs[e]??t.signs.unknown;return c`<span class="lk-state" data-state=${e} style="color: var(--lk-${n})"><span class="lk-sign" aria-hidden="true">${i}</span> ${s}</span>`}function Q(t,e){let[s,i,n]=t.engines[e];return c`<span class="lk-chip" style="background: ${i}; color: ${n}">${s}</span>`}function Z(t){return t==null?c`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`:c`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100*t)} aria-label="progress"><div style="width: ${100*t}%"></div></span>`}function gt([t,e],s){return c`<div class="lk-error" role="alert"><div>${t}${e?c`<br>→ ${e}`:m}</div>
    ${s?c`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${s}>✕</button>`:m}</div>`}function K(t){return t==null?"":`${(100*t).toPrecision(t>=.995?3:2).replace(/\.0+$/,"")} %`}function _t(t,e,s,i){if(t.length<2)return m;let[n,r]=[90,18],o=Math.max(e,...t),u=t.map((d,h)=>`${(n-1-(t.length-1-h)*(n-2)/59).toFixed(1)},${(r-1-(r-2)*d/o).toFixed(1)}`).join(" ");return c`<svg width=${n} height=${r} viewBox="0 0 ${n} ${r}" role="img" aria-label=${i}>
    <line x1="0" y1=${r-.5} x2=${n} y2=${r-.5} stroke="var(--lk-line)"></line>
    <polyline points=${u} fill="none" stroke=${s} stroke-width="1.3"></polyline></svg>`}var ke={start:"boot it",resume:"let its processors go on",pause:"stop its processors where they are",stop:"shut it down in an orderly way",restart:"shut it down and boot it again",kill:"switch it off, as if the power failed",run:"run a command in it",console:"open its console",snapshot:"keep its state under a name",revert:"go back to a snapshot",clone:"make a second one with the same disk",resize:"change memory or processors",limits:"limit its processor time",stats:"show its counters",migrate:"move it to another host",destroy:"end it and remove all it had"},rt={run:[["command","command","uname -a"]],snapshot:[["name","name","snap-1"]],revert:[["name","snapshot",null]],clone:[["name","name of the clone",""]],migrate:[["to","to host",null]],resize:[["memory","memory",""],["vcpus","processors",""]],limits:[["cpus","processors (empty: no limit)","0.5"]]};function fe({model:t,el:e,looks:s}){let i="",n="",r=!1,o=()=>b.redraw();function u($){if(rt[$]||$==="destroy"){n=n===$?"":$,n&&rt[$]?.some(([,,v])=>v===null)&&t.send({ask:"words",verb:$}),o(),n&&queueMicrotask(()=>requestAnimationFrame(()=>e.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));return}if($==="stats"){r=!r,o();return}d($,{})}function d($,v){i=$==="console"?"":$,n="",t.send({ask:"verb",verb:$,words:v}),o()}function h($,v,w){let R=v.doing&&(i===$||v.doing.split(" ")[0]===$),T=w||!v.fit.includes($)&&$!=="console"||!!v.ended,j=w?"the kernel was restarted":v.doing?`it is busy: ${v.doing}`:`not while it is ${v.state}`;return c`<button class=${$==="destroy"?"lk-danger":""} aria-disabled=${T?"true":"false"} ?data-busy=${R}
      title=${T?j:ke[$]} data-verb=${$}
      aria-expanded=${rt[$]||$==="destroy"?String(n===$):m}
      @click=${()=>T||u($)}>${$}${R?" …":""}</button>`}function x($){if(!n)return m;if(n==="destroy")return c`<div class="lk-ask" role="group" aria-label="destroy ${$}?">Destroy ${$} and all it has?
        <button class="lk-danger" @click=${()=>d("destroy",{})}>Destroy</button>
        <button @click=${()=>{n="",o()}}>Keep it</button></div>`;let v=t.get("asking"),w=v.verb===n?v.names:[];return c`<form class="lk-ask" @submit=${T=>{T.preventDefault(),d(n,Object.fromEntries(new FormData(T.target)))}} @keydown=${T=>{T.key==="Escape"&&(n="",o()),T.stopPropagation()}}>
      ${rt[n].map(([T,j,E])=>c`<label>${j}
        ${E===null?c`<select name=${T}>${w.map(H=>c`<option>${H}</option>`)}</select>`:c`<input type="text" name=${T} value=${E} autocomplete="off" spellcheck="false">`}</label>`)}
      ${rt[n][0][2]===null&&!w.length?c`<span class="lk-dim">there is none</span>`:c`<button type="submit">${n}</button>`}
      <button type="button" @click=${()=>{n="",o()}}>cancel</button></form>`}function a($,v){return!v.length||$.cpu===null?m:c`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${K($.cpu)}
        ${_t(v.map(([w])=>w),1,"var(--lk-busy)",`processor use, now ${K($.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${$.memory}
        ${_t(v.map(([,w])=>w),1,"var(--lk-paused)",`memory held, now ${$.memory}`)}</span></dd>`}function g($){let v=t.get("fixed"),w=t.get("now"),R=t.get("usage"),T=t.get("result");w.doing||(i="");let j=Object.entries(v.absent),E=j.map(([H,C])=>`${H}: ${C}`).join(`
`);return c`<div class="lk-box" role="group" aria-label="machine ${v.name}, ${w.ended||w.state}">
      <div class="lk-head">${Q(s,v.engine)}<span class="lk-name">${v.name}</span>
        <span class="lk-dim">on ${w.host}</span>
        <span class="lk-right" aria-live="polite">${w.ended?c`<span class="lk-dim">${w.ended}</span>`:Y(s,w.state)}</span></div>
      <dl class="lk-facts">
        ${v.facts.map(([H,C])=>c`<dt>${H}</dt><dd>${C}</dd>`)}
        ${v.networks.map(([H,C,ft])=>c`<dt>${H}</dt><dd>${C} <span class="lk-dim">(${ft})</span></dd>`)}
        ${r||!w.ended?a(w,R):m}
      </dl>
      ${w.ended?m:c`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${v.name}">
        ${v.verbs.filter(H=>H!=="stats").map(H=>h(H,w,$))}
        ${j.length?c`<span class="lk-absent" tabindex="0" role="note" title=${E} aria-label="not possible here: ${E}">not here: ${j.map(([H])=>H).join(", ")}</span>`:m}</div>`}
      ${w.doing?c`<div class="lk-doing" role="status">${Z(w.fraction)} ${w.doing}${w.fraction===null?"":` ${Math.round(100*w.fraction)} %`}</div>`:m}
      ${w.ended||$?m:x(v.name)}
      ${w.error.length?gt(w.error,$?null:()=>t.send({ask:"dismiss"})):m}
      ${T.command?c`<div class="lk-dim" style="margin-top: 6px"><code>${T.command}</code>
        ${T.exit_code?c`· ${Y(s,"failed",`exit code ${T.exit_code}`)}`:m}
        <button class="lk-plain" aria-label="dismiss the output" @click=${()=>t.send({ask:"dismiss"})}>✕</button></div><pre>${T.text}</pre>`:m}
      ${$?c`<div class="lk-dim" style="margin-top: 6px">${L}</div>`:m}
      <div class="lk-slot"></div>
    </div>`}let p=at(t,e,"terminal"),b=N({model:t,el:e,looks:s},g,p);return b}function at(t,e,s){let i="";return async()=>{let n=t.get(s);if(n===i)return;i=n;let r=e.querySelector(".lk-slot");if(r.replaceChildren(),r.style.marginTop=n?"10px":"0",!n)return;let o=await t.widget_manager.get_model(n),u=await t.widget_manager.create_view(o);if(i!==n)return;let d=u.luminoWidget?.node??u.el;r.append(d)}}function be({model:t,el:e,looks:s}){let i=(d,h)=>t.send({ask:"change",name:d,value:h});function n(d,h,x){let a=t.get("values")[d.name],g=t.get("errors")[d.name],p={id:h,wrong:g?"true":"false",about:`${h}-about`};return d.kind==="check"?c`<input type="checkbox" id=${h} .checked=${a} ?disabled=${x} aria-describedby=${p.about} @change=${b=>i(d.name,b.target.checked)}>`:d.kind==="many"?d.choices.length?c`<span role="group" id=${h}>${d.choices.map(b=>c`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${a.includes(b)} ?disabled=${x}
          @change=${$=>i(d.name,$.target.checked?[...a,b]:a.filter(v=>v!==b))}> ${b}</label>`)}</span>`:c`<span class="lk-dim" id=${h}>there are none yet</span>`:c`<input type="text" id=${h} .value=${String(a)} ?disabled=${x} autocomplete="off" spellcheck="false"
      inputmode=${d.kind==="number"?"numeric":m} aria-invalid=${p.wrong} aria-describedby=${p.about}
      @input=${b=>i(d.name,b.target.value)}>`}let r=`lk${Math.random().toString(36).slice(2)}`,o=at(t,e,"card");return N({model:t,el:e,looks:s},d=>{let h=t.get("errors"),x=t.get("busy"),a=d||!!x||Object.keys(h).length>0;return c`<form class="lk-box" @submit=${p=>{p.preventDefault(),a||t.send({ask:"create"})}} @keydown=${p=>p.stopPropagation()} aria-label=${t.get("title")}>
      <div class="lk-head">${Q(s,t.get("engine_kind"))}<span class="lk-name">${t.get("title")}</span></div>
      <div class="lk-fields">${t.get("fields").map(p=>c`<label for="${r}-${p.name}">${p.label}</label>
        ${n(p,`${r}-${p.name}`,d||!!x)}
        <span id="${r}-${p.name}-about" class=${h[p.name]?"lk-wrong":"lk-help"}>${h[p.name]?`✖ ${h[p.name]}`:p.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${t.get("code")||"(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${a?"true":"false"}>Create</button>
        ${x?c`<span class="lk-doing" role="status" style="margin: 0">${Z(null)} ${x}</span>`:m}</div>
      ${t.get("failed").length?gt(t.get("failed")):m}
      ${d?c`<div class="lk-dim">${L}</div>`:m}
      <div class="lk-slot"></div></form>`},o)}var ve={start:"M3 1.5v9l7-4.5z",resume:"M3 1.5v9l7-4.5z",pause:"M3 2h2v8H3zM7 2h2v8H7z",stop:"M2.5 2.5h7v7h-7z",restart:"M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",kill:"M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",destroy:"M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z"},xe=t=>c`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${ve[t]}></path></svg>`,ye=[["name","machine"],["state","state"],["cpu","processor"],["memory","memory"],["addresses","addresses"]],we={B:1,KiB:1024,MiB:1024**2,GiB:1024**3,TiB:1024**4};function Ae(t,e){if(e==="cpu")return t.cpu??-1;if(e==="memory"){let[s,i]=t.memory.split(" ");return Number(s||-1)*(we[i]??1)}return e==="addresses"?t.addresses.map(s=>s.split(".").map(i=>i.padStart(3,"0")).join(".")).join():t[e].replace(/\d+/g,s=>s.padStart(6,"0"))}function _e(t,[e,s]){let i=t.map(n=>[Ae(n,e),n]);return i.sort(([n],[r])=>n<r?-1:n>r?1:0),s&&i.reverse(),i.map(([,n])=>n)}function Ut(t,e,s,i,n,r){let o=(a,g)=>t.send({ask:"verb",host:a.host,name:a.name,verb:g});function u(a,g,p){if(!a.verbs.includes(g))return m;let b=p||!a.fit.includes(g),$=i.sure===`${a.host}/${a.name}`;if(g==="destroy"&&$)return c`<button class="lk-danger" @click=${()=>{i.sure="",o(a,g),n()}}>destroy ${a.name}?</button>
        <button @click=${()=>{i.sure="",n()}}>keep</button>`;let v=()=>{b||(g==="destroy"?i.sure=`${a.host}/${a.name}`:o(a,g),n())};return c`<button aria-disabled=${b?"true":"false"} data-verb=${g} aria-label="${g} ${a.name}" title=${g} @click=${v}>${xe(g)}</button>`}function d(a,g){let p=a.verbs.includes("resume")&&a.state==="paused"?"resume":"pause",b=a.fit.includes("start")||a.state==="stopped"?"start":"stop";return c`<tr class="lk-row" data-machine=${a.name}><td>${Q(s,a.engine)} ${a.name}</td>
      <td>${a.doing?Y(s,"starting",`${a.doing}${a.fraction===null?"":` ${Math.round(100*a.fraction)} %`}`):Y(s,a.state)}
        ${a.error.length?c`<span tabindex="0" role="note" title=${a.error.join(`
→ `)} aria-label="last error: ${a.error.join(". ")}">${Y(s,"failed","error")}</span>`:m}</td>
      <td class="lk-number">${K(a.cpu)}</td><td class="lk-number">${a.memory}</td>
      <td class="lk-addresses">${a.addresses.join(", ")}</td>
      <td class="lk-acts">${[p,b,"restart","kill","destroy"].map($=>u(a,$,g))}</td></tr>`}function h(){return c`<thead><tr>${ye.map(([a,g])=>{let p=i.sort[0]===a;return c`<th scope="col" aria-sort=${p?i.sort[1]?"descending":"ascending":"none"}>
        <button @click=${()=>{i.sort=[a,p&&!i.sort[1]],n()}} title="sort by ${g}">${g} ${p?i.sort[1]?"▾":"▴":""}</button></th>`})}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`}function x(a,g,p){let b=!i.closed.has(a.name),$=()=>{b?i.closed.add(a.name):i.closed.delete(a.name),n()};return c`<tbody>${r?m:c`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(b)} aria-label="machines of ${a.name}" @click=${$}>${b?"▾":"▸"}</button>
        <b>${a.name}</b> <span class="lk-dim">${a.address} · ${a.ended?"has ended":a.count===1?"1 machine":`${a.count} machines`}${a.count?`, ${a.running} running`:""}</span></th>
        <td class="lk-number lk-dim">${K(a.cpu)}</td><td class="lk-number lk-dim">${a.memory}</td><td colspan="2"></td></tr>`}
      ${b||r?_e(g.filter(v=>v.host===a.name),i.sort).map(v=>d(v,p)):m}</tbody>`}return a=>{let g=t.get("rows");return c`<div class="lk-scroll"><table aria-label="machines of ${t.get("title")}">${h()}
      ${t.get("hosts").map(p=>x(p,g,a))}</table></div>`}}function Vt(t,e){let s=t.get("ended");return s||e?c`<div class="lk-dim" style="margin-top: 6px">${s||L}</div>`:m}function Me({model:t,el:e,looks:s}){let n=Ut(t,e,s,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!1),r=N({model:t,el:e,looks:s},o=>c`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">lab</span></div>
    ${t.get("ended")?m:n(o)}
    ${t.get("networks").length&&!t.get("ended")?c`<div class="lk-dim" style="margin-top: 4px">networks: ${t.get("networks").map(([u,d,h,x])=>c`<span title="DHCP and DNS on ${x}" style="margin-right: 14px">${u} ${h} (${d})</span>`)}</div>`:m}
    ${Vt(t,o)}</div>`);return r}function Te({model:t,el:e,looks:s}){let n=Ut(t,e,s,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!0),r=N({model:t,el:e,looks:s},o=>{let[u]=t.get("hosts");return c`<div class="lk-box" role="group" aria-label="host ${u.name}">
      <div class="lk-head"><span class="lk-name">${u.name}</span><span class="lk-dim">host, ${u.provider}</span>
        <span class="lk-right lk-dim">${u.address}</span></div>
      <dl class="lk-facts">${t.get("facts").map(([d,h])=>c`<dt>${d}</dt><dd>${h}</dd>`)}
        <dt>machines</dt><dd>${u.count}${u.count?`, ${u.running} running`:""}${u.cpu===null?"":`, using ${K(u.cpu)} of a processor and ${u.memory}`}</dd></dl>
      ${u.count&&!t.get("ended")?c`<div style="margin-top: 8px">${n(o)}</div>`:m}
      ${Vt(t,o)}</div>`});return r}var qt={ATTRIBUTE:1,CHILD:2,PROPERTY:3,BOOLEAN_ATTRIBUTE:4,EVENT:5,ELEMENT:6},Ft=t=>(...e)=>({_$litDirective$:t,values:e}),mt=class{constructor(e){}get _$AU(){return this._$AM._$AU}_$AT(e,s,i){this._$Ct=e,this._$AM=s,this._$Ci=i}_$AS(e,s){return this.update(e,s)}update(e,s){return this.render(...s)}};var{I:Se}=It,Wt=t=>t;var Yt=()=>document.createComment(""),J=(t,e,s)=>{let i=t._$AA.parentNode,n=e===void 0?t._$AB:e._$AA;if(s===void 0){let r=i.insertBefore(Yt(),n),o=i.insertBefore(Yt(),n);s=new Se(r,o,t,t.options)}else{let r=s._$AB.nextSibling,o=s._$AM,u=o!==t;if(u){let d;s._$AQ?.(t),s._$AM=t,s._$AP!==void 0&&(d=t._$AU)!==o._$AU&&s._$AP(d)}if(r!==n||u){let d=s._$AA;for(;d!==r;){let h=Wt(d).nextSibling;Wt(i).insertBefore(d,n),d=h}}}return s},O=(t,e,s=t)=>(t._$AI(e,s),t),He={},Kt=(t,e=He)=>t._$AH=e,Gt=t=>t._$AH,kt=t=>{t._$AR(),t._$AA.remove()};var Xt=(t,e,s)=>{let i=new Map;for(let n=e;n<=s;n++)i.set(t[n],n);return i},ot=Ft(class extends mt{constructor(t){if(super(t),t.type!==qt.CHILD)throw Error("repeat() can only be used in text expressions")}dt(t,e,s){let i;s===void 0?s=e:e!==void 0&&(i=e);let n=[],r=[],o=0;for(let u of t)n[o]=i?i(u,o):o,r[o]=s(u,o),o++;return{values:r,keys:n}}render(t,e,s){return this.dt(t,e,s).values}update(t,[e,s,i]){let n=Gt(t),{values:r,keys:o}=this.dt(e,s,i);if(!Array.isArray(n))return this.ut=o,r;let u=this.ut??=[],d=[],h,x,a=0,g=n.length-1,p=0,b=r.length-1;for(;a<=g&&p<=b;)if(n[a]===null)a++;else if(n[g]===null)g--;else if(u[a]===o[p])d[p]=O(n[a],r[p]),a++,p++;else if(u[g]===o[b])d[b]=O(n[g],r[b]),g--,b--;else if(u[a]===o[b])d[b]=O(n[a],r[b]),J(t,d[b+1],n[a]),a++,b--;else if(u[g]===o[p])d[p]=O(n[g],r[p]),J(t,n[a],n[g]),g--,p++;else if(h===void 0&&(h=Xt(o,p,b),x=Xt(u,a,g)),h.has(u[a]))if(h.has(u[g])){let $=x.get(o[p]),v=$!==void 0?n[$]:null;if(v===null){let w=J(t,n[a]);O(w,r[p]),d[p]=w}else d[p]=O(v,r[p]),J(t,n[a],v),n[$]=null;p++}else kt(n[g]),g--;else kt(n[a]),a++;for(;p<=b;){let $=J(t,d[b+1]);O($,r[p]),d[p++]=$}for(;a<=g;){let $=n[a++];$!==null&&kt($)}return this.ut=o,Kt(t,d),V}});var[ee,ne,Ce,Qt,Ne,Mt]=[15,12,7,12,28,8],ze={width:290,height:26},Zt={ArrowLeft:[-1,0],ArrowRight:[1,0],ArrowUp:[0,-1],ArrowDown:[0,1]},lt=([t,e],{width:s,height:i})=>({left:t-s/2,top:e-i/2,right:t+s/2,bottom:e+i/2}),se=t=>({left:Math.min(...t.map(e=>e.left)),top:Math.min(...t.map(e=>e.top)),right:Math.max(...t.map(e=>e.right)),bottom:Math.max(...t.map(e=>e.bottom))}),ie=(t,e,s,i)=>({left:t.left-e,top:t.top-s,right:t.right+e,bottom:t.bottom+i});function Jt(t,e,s){let i=t.inside.filter(n=>s[n]).map(n=>lt(s[n],e.get(n)));return ie(se(i.length?i:[lt(s[t.id],ze)]),Qt,Ne,Qt)}function je(t,e,s){let i=new Set(e.networks.filter(o=>o.own).map(o=>o.id)),n=e.links.filter(o=>o.machine===t.id&&!i.has(o.network)).map(o=>o.network),r=n.length?n:e.networks.filter(o=>!o.own).map(o=>o.id);return!r.length||s[t.id][0]<=r.reduce((o,u)=>o+s[u][0],0)/r.length}function Pe(t,e,s){let i=t.links.map(n=>{let r=e.get(n.machine),[o,u]=s[n.machine],d=s[n.network][0]>=o?1:-1,h=n.row<0?u:u-r.height/2+ne+ee*n.row;return{link:n,side:d,x:o+d*r.width/2,y:h}});for(let n of t.networks)for(let r of[-1,1]){let o=i.filter(d=>d.link.network===n.id&&d.side===r);o.sort((d,h)=>d.y-h.y);let u=Math.min(Ce,(n.height-12)/Math.max(1,o.length-1));o.forEach((d,h)=>{d.toX=s[n.id][0]-r*n.width/2,d.toY=s[n.id][1]+u*(h-(o.length-1)/2)})}return i}function te({x:t,y:e,toX:s,toY:i,side:n}){let r=n*Math.max(24,Math.abs(s-t)/2);return`M${t} ${e}C${t+r} ${e} ${s-r} ${i} ${s} ${i}`}function Le({model:t,el:e,looks:s}){let i=null,n=null,r="",o=()=>tt.redraw(),u=l=>new Map([...l.machines,...l.networks].map(f=>[f.id,f]));function d(){let l=t.get("places");if(!n?.ids.length||!n.moved)return l;let f={...l};for(let k of n.ids)l[k]&&(f[k]=[l[k][0]+n.by[0],l[k][1]+n.by[1]]);return f}function h(l,f,k){let y=[...l.networks.map(A=>lt(k[A.id],A)),...l.hosts.map(A=>Jt(A,f,k))],{left:_,top:S,right:M,bottom:z}=ie(y.length?se(y):{left:0,top:0,right:300,bottom:40},Mt,Mt,Mt);return[_,S,M-_,z-S]}function x(l){let f=new DOMPoint(l.clientX,l.clientY).matrixTransform(e.querySelector(".lk-topo").getScreenCTM().inverse());return[f.x,f.y]}function a(l,f){let k={...t.get("places")},y={};for(let _ of l)k[_]&&(y[_]=k[_]=[Math.round(k[_][0]+f[0]),Math.round(k[_][1]+f[1])]);t.set("places",k),t.send({ask:"move",places:y}),o()}function g(l,f){let[k,y,_,S]=b(),[M,z]=f??[k+_/2,y+S/2],A=Math.min(8,Math.max(.1,l*(_/p[2])))/(_/p[2]);i=[M-(M-k)*A,z-(z-y)*A,_*A,S*A],o()}let p=[0,0,300,40],b=()=>i??p,$=l=>tt.lost()||t.send({ask:"open",machine:l});function v(l,f,k){l.button!==0||n||(l.stopPropagation(),e.querySelector(".lk-topo").setPointerCapture(l.pointerId),n={ids:tt.lost()?[]:f,id:k,from:x(l),by:[0,0],at:[l.clientX,l.clientY],moved:!1,view:b(),pan:!f.length})}function w(l){if(!n||!n.moved&&Math.hypot(l.clientX-n.at[0],l.clientY-n.at[1])<4)return;n.moved=!0;let[f,k]=x(l);if(n.pan){let[y,_,S,M]=b();i=[y+n.from[0]-f,_+n.from[1]-k,S,M]}else n.by=[f-n.from[0],k-n.from[1]];o()}function R(){if(!n)return;let{ids:l,id:f,by:k,moved:y}=n;n=null,y&&l.length?a(l,k):!y&&f&&$(f),o()}function T(){n=null,o()}function j(l){!l.ctrlKey&&!l.metaKey||(l.preventDefault(),g(Math.exp(Math.sign(l.deltaY)*.15),x(l)))}function E(l,f){if(l.key==="Enter"||l.key===" ")$(f);else if(Zt[l.key]&&!tt.lost())a([f],Zt[l.key].map(k=>10*k));else return;l.preventDefault(),l.stopPropagation()}let H=l=>l.machine===r||l.network===r,C=l=>{r=n?r:l,o()};function ft(l,f,k){let{left:y,top:_,right:S,bottom:M}=Jt(l,f,k);return X`<g class="lk-t-grip" data-host=${l.id} @pointerdown=${z=>v(z,l.inside.length?l.inside:[l.id],"")}>
      <title>${l.title}</title>
      <rect class="lk-t-region" x=${y} y=${_} width=${S-y} height=${M-_} rx="8" stroke-dasharray=${l.ended?"6 4":m}></rect>
      <text class="lk-t-ink" x=${y+12} y=${_+19} font-size="13" font-weight="600">${l.name}<tspan class="lk-t-${l.ended?"failed":"dim"}" dx="10" font-size="10.5" font-weight="400">${l.ended?`${s.signs.failed[0]} `:""}${l.words}</tspan></text></g>`}function re(l,f){let{link:k}=l;return X`<g class=${f&&!H(k)?"lk-t-faint":""} data-link="${k.machine} ${k.network}" data-up=${String(k.up)}><title>${k.title}</title>
      <path class=${k.up?`lk-t-net${k.colour}`:"lk-t-down"} d=${te(l)} fill="none" stroke-width=${H(k)?2.6:1.4}
        stroke-dasharray=${k.up?m:"4 4"}></path><path class="lk-t-wide" d=${te(l)}></path></g>`}function ae(l,f){let[k,y]=f[l.id],{left:_,top:S}=lt([k,y],l);return X`<g class="lk-t-grip" data-network=${l.id} role="img" aria-label=${l.title} @pointerenter=${()=>C(l.id)} @pointerleave=${()=>C("")}
      @pointerdown=${M=>v(M,[l.id],"")}><title>${l.title}</title>
      <rect class="lk-t-card lk-t-net${l.colour}" x=${_} y=${S} width=${l.width} height=${l.height} rx="12" stroke-width="2"></rect>
      <text class="lk-t-ink" x=${k} y=${y-3} font-size="12" font-weight="600" text-anchor="middle">${l.name}</text>
      <text class="lk-t-dim" x=${k} y=${y+12} font-size="10.5" text-anchor="middle">${l.words}</text></g>`}function oe(l,f,k){let y=lt(k[l.id],l),_=je(l,f,k),S=y.left+(_?4:100),M=y.top+ne,[z,A,de]=l.engine,Tt=t.get("selected")===l.id;return X`<g class="lk-t-machine" data-machine=${l.id} data-state=${l.state} tabindex="0" role="button" aria-label=${l.title} aria-expanded=${String(Tt)}
      @pointerenter=${()=>C(l.id)} @pointerleave=${()=>C("")} @focus=${()=>C(l.id)} @blur=${()=>C("")}
      @pointerdown=${I=>v(I,[l.id],l.id)} @keydown=${I=>E(I,l.id)}
      @click=${I=>I.detail===0&&$(l.id)}><title>${l.title}</title>
      <rect class="lk-t-card ${Tt?"lk-t-chosen":""}" x=${y.left} y=${y.top} width=${l.width} height=${l.height} rx="4"></rect>
      <rect x=${S} y=${M-7.5} width="42" height="15" rx="3" fill=${A}></rect>
      <text x=${S+21} y=${M+3.5} font-size="9.5" font-weight="600" text-anchor="middle" fill=${de}>${z}</text>
      <text class="lk-t-${l.colour}" x=${S+54} y=${M+4} font-size="10" text-anchor="middle" aria-hidden="true">${l.sign}</text>
      <text class="lk-t-ink" x=${S+66} y=${M+4} font-size="12">${l.name}</text>
      <text class="lk-t-${l.colour}" x=${y.right-(_?100:6)} y=${M+4} font-size="10.5" text-anchor="end">${l.word}</text>
      ${l.rows.map((I,ce)=>X`<text class="lk-t-dim" x=${_?y.right-6:y.left+6} y=${M+4+ee*ce} font-size="10.5" text-anchor=${_?"end":"start"}>${I}</text>`)}</g>`}function le(l){let f=t.get("seen"),k=d(),y=u(f);if([...y.keys(),...f.hosts.map(A=>A.id)].some(A=>!k[A]))return c``;n||(p=h(f,y,k));let[,,_,S]=p,M=t.get("ended"),z=f.links.some(H);return c`<div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">topology</span>
        <span class="lk-right" role="toolbar" aria-label="view of the picture">
          <button aria-label="nearer" title="nearer (Ctrl and the wheel, too)" @click=${()=>g(1/1.25)}>+</button>
          <button aria-label="farther" title="farther" @click=${()=>g(1.25)}>−</button>
          <button title="show all of it" @click=${()=>{i=null,o()}}>fit</button>
          <button aria-disabled=${String(l||!!M)} title="lay everything out anew" @click=${()=>{!l&&!M&&(i=null,t.send({ask:"arrange"}))}}>arrange</button></span></div>
      <svg class="lk-topo" data-lm-suppress-shortcuts="true" role="group" aria-label="topology of ${f.title}" viewBox=${b().join(" ")}
        style="aspect-ratio: ${_} / ${S}; max-width: ${Math.round(1.2*_)}px" ?data-held=${!!n?.moved}
        @pointerdown=${A=>v(A,[],"")} @pointermove=${w} @pointerup=${R} @pointercancel=${T} @wheel=${j}>
        ${ot(f.hosts,A=>A.id,A=>ft(A,y,k))}
        ${ot(Pe(f,y,k),({link:A})=>`${A.machine} ${A.network}`,A=>re(A,z))}
        ${ot(f.networks,A=>A.id,A=>ae(A,k))}
        ${ot(f.machines,A=>A.id,A=>oe(A,f,k))}</svg>
      ${t.get("note")?c`<div class="lk-dim">${t.get("note")}</div>`:m}
      ${M||l?c`<div class="lk-dim" role="status">${M||L}</div>`:m}
      ${t.get("card")?c`<div class="lk-topo-card">${y.get(t.get("selected"))?.name??""}
        <button class="lk-plain" aria-label="close the card" title="close the card" @click=${()=>$("")}>✕</button></div>`:m}
      <div class="lk-slot"></div>`}let tt=N({model:t,el:e,looks:s},le,at(t,e,"card"));return tt}function cn({model:t,el:e,looks:s}){let i=performance.now()-1e3*t.get("elapsed_s"),n=!1,r=N({model:t,el:e,looks:s},u=>{let d=t.get("ended")||(u?"the kernel was restarted":""),h=(performance.now()-i)/1e3;return d?(clearInterval(o),c`<div class="lk-dim"><b>${t.get("title")}</b>: ${d}</div>`):c`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${t.get("title")}</b> ${Z(t.get("fraction"))} <span>${t.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${h.toFixed(0)} s</span>
      <button aria-disabled=${String(n)} @click=${()=>{n||(n=!0,t.send({ask:"cancel"}),r.redraw())}}>${n?"cancelling …":"Cancel"}</button></div>`}),o=setInterval(()=>r.redraw(),1e3);return()=>{clearInterval(o),r()}}function pn({model:t,el:e,looks:s}){let i=!1,n=!1,r="",o=null,u=N({model:t,el:e,looks:s},x=>{let a=t.get("picture");a!==o&&a?.byteLength&&(URL.revokeObjectURL(r),r=URL.createObjectURL(new Blob([a],{type:"image/png"})),o=a);let[g,p]=t.get("size");return c`<div class="lk-screen" ?data-large=${i}><div class="lk-dim">${t.get("title")}</div>
      ${r?c`<button aria-label="${i?"smaller":"larger"}: ${t.get("title")}" aria-pressed=${String(i)}
        @click=${()=>{i=!i,u.redraw()}}><img src=${r} alt="what the screen shows, ${g} by ${p} pixels"></button>`:m}
      ${t.get("note")||x?c`<div class="lk-dim">${t.get("note")||"the kernel was restarted"}</div>`:m}</div>`}),d=new IntersectionObserver(([x])=>{n=x.isIntersecting});d.observe(e);let h=setInterval(()=>{n&&!document.hidden&&!u.lost()&&t.send({ask:"picture"})},2e3);return()=>{clearInterval(h),d.disconnect(),URL.revokeObjectURL(r),u()}}export{fe as card,be as form,Te as host,cn as progress,pn as screen,Me as table,Le as topology};
