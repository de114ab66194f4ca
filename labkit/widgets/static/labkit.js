var yt=globalThis,Ct=t=>t,pt=yt.trustedTypes,jt=pt?pt.createPolicy("lit-html",{createHTML:t=>t}):void 0,wt="$lit$",O=`lit$${Math.random().toFixed(9).slice(2)}$`,At="?"+O,$e=`<${At}>`,U=document,it=()=>U.createComment(""),rt=t=>t===null||typeof t!="object"&&typeof t!="function",_t=Array.isArray,Rt=t=>_t(t)||typeof t?.[Symbol.iterator]=="function",xt=`[ 	
\f\r]`,st=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,zt=/-->/g,Nt=/>/g,B=RegExp(`>|${xt}(?:([^\\s"'>=/]+)(${xt}*=${xt}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),Ot=/'/g,Pt=/"/g,Et=/^(?:script|style|textarea|title)$/i,Mt=t=>(e,...s)=>({_$litType$:t,strings:e,values:s}),c=Mt(1),Z=Mt(2),Ie=Mt(3),V=Symbol.for("lit-noChange"),m=Symbol.for("lit-nothing"),Lt=new WeakMap,D=U.createTreeWalker(U,129);function It(t,e){if(!_t(t)||!t.hasOwnProperty("raw"))throw Error("invalid template strings array");return jt!==void 0?jt.createHTML(e):e}var Bt=(t,e)=>{let s=t.length-1,i=[],n,r=e===2?"<svg>":e===3?"<math>":"",o=st;for(let p=0;p<s;p++){let l=t[p],h,x,a=-1,g=0;for(;g<l.length&&(o.lastIndex=g,x=o.exec(l),x!==null);)g=o.lastIndex,o===st?x[1]==="!--"?o=zt:x[1]!==void 0?o=Nt:x[2]!==void 0?(Et.test(x[2])&&(n=RegExp("</"+x[2],"g")),o=B):x[3]!==void 0&&(o=B):o===B?x[0]===">"?(o=n??st,a=-1):x[1]===void 0?a=-2:(a=o.lastIndex-x[2].length,h=x[1],o=x[3]===void 0?B:x[3]==='"'?Pt:Ot):o===Pt||o===Ot?o=B:o===zt||o===Nt?o=st:(o=B,n=void 0);let u=o===B&&t[p+1].startsWith("/>")?" ":"";r+=o===st?l+$e:a>=0?(i.push(h),l.slice(0,a)+wt+l.slice(a)+O+u):l+O+(a===-2?p:u)}return[It(t,r+(t[s]||"<?>")+(e===2?"</svg>":e===3?"</math>":"")),i]},at=class t{constructor({strings:e,_$litType$:s},i){let n;this.parts=[];let r=0,o=0,p=e.length-1,l=this.parts,[h,x]=Bt(e,s);if(this.el=t.createElement(h,i),D.currentNode=this.el.content,s===2||s===3){let a=this.el.content.firstChild;a.replaceWith(...a.childNodes)}for(;(n=D.nextNode())!==null&&l.length<p;){if(n.nodeType===1){if(n.hasAttributes())for(let a of n.getAttributeNames())if(a.endsWith(wt)){let g=x[o++],u=n.getAttribute(a).split(O),v=/([.?@])?(.*)/.exec(g);l.push({type:1,index:r,name:v[2],strings:u,ctor:v[1]==="."?ht:v[1]==="?"?$t:v[1]==="@"?gt:F}),n.removeAttribute(a)}else a.startsWith(O)&&(l.push({type:6,index:r}),n.removeAttribute(a));if(Et.test(n.tagName)){let a=n.textContent.split(O),g=a.length-1;if(g>0){n.textContent=pt?pt.emptyScript:"";for(let u=0;u<g;u++)n.append(a[u],it()),D.nextNode(),l.push({type:2,index:++r});n.append(a[g],it())}}}else if(n.nodeType===8)if(n.data===At)l.push({type:2,index:r});else{let a=-1;for(;(a=n.data.indexOf(O,a+1))!==-1;)l.push({type:7,index:r}),a+=O.length-1}r++}}static createElement(e,s){let i=U.createElement("template");return i.innerHTML=e,i}};function q(t,e,s=t,i){if(e===V)return e;let n=i!==void 0?s._$Co?.[i]:s._$Cl,r=rt(e)?void 0:e._$litDirective$;return n?.constructor!==r&&(n?._$AO?.(!1),r===void 0?n=void 0:(n=new r(t),n._$AT(t,s,i)),i!==void 0?(s._$Co??=[])[i]=n:s._$Cl=n),n!==void 0&&(e=q(t,n._$AS(t,e.values),n,i)),e}var ut=class{constructor(e,s){this._$AV=[],this._$AN=void 0,this._$AD=e,this._$AM=s}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(e){let{el:{content:s},parts:i}=this._$AD,n=(e?.creationScope??U).importNode(s,!0);D.currentNode=n;let r=D.nextNode(),o=0,p=0,l=i[0];for(;l!==void 0;){if(o===l.index){let h;l.type===2?h=new Q(r,r.nextSibling,this,e):l.type===1?h=new l.ctor(r,l.name,l.strings,this,e):l.type===6&&(h=new mt(r,this,e)),this._$AV.push(h),l=i[++p]}o!==l?.index&&(r=D.nextNode(),o++)}return D.currentNode=U,n}p(e){let s=0;for(let i of this._$AV)i!==void 0&&(i.strings!==void 0?(i._$AI(e,i,s),s+=i.strings.length-2):i._$AI(e[s])),s++}},Q=class t{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(e,s,i,n){this.type=2,this._$AH=m,this._$AN=void 0,this._$AA=e,this._$AB=s,this._$AM=i,this.options=n,this._$Cv=n?.isConnected??!0}get parentNode(){let e=this._$AA.parentNode,s=this._$AM;return s!==void 0&&e?.nodeType===11&&(e=s.parentNode),e}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(e,s=this){e=q(this,e,s),rt(e)?e===m||e==null||e===""?(this._$AH!==m&&this._$AR(),this._$AH=m):e!==this._$AH&&e!==V&&this._(e):e._$litType$!==void 0?this.$(e):e.nodeType!==void 0?this.T(e):Rt(e)?this.k(e):this._(e)}O(e){return this._$AA.parentNode.insertBefore(e,this._$AB)}T(e){this._$AH!==e&&(this._$AR(),this._$AH=this.O(e))}_(e){this._$AH!==m&&rt(this._$AH)?this._$AA.nextSibling.data=e:this.T(U.createTextNode(e)),this._$AH=e}$(e){let{values:s,_$litType$:i}=e,n=typeof i=="number"?this._$AC(e):(i.el===void 0&&(i.el=at.createElement(It(i.h,i.h[0]),this.options)),i);if(this._$AH?._$AD===n)this._$AH.p(s);else{let r=new ut(n,this),o=r.u(this.options);r.p(s),this.T(o),this._$AH=r}}_$AC(e){let s=Lt.get(e.strings);return s===void 0&&Lt.set(e.strings,s=new at(e)),s}k(e){_t(this._$AH)||(this._$AH=[],this._$AR());let s=this._$AH,i,n=0;for(let r of e)n===s.length?s.push(i=new t(this.O(it()),this.O(it()),this,this.options)):i=s[n],i._$AI(r),n++;n<s.length&&(this._$AR(i&&i._$AB.nextSibling,n),s.length=n)}_$AR(e=this._$AA.nextSibling,s){for(this._$AP?.(!1,!0,s);e!==this._$AB;){let i=Ct(e).nextSibling;Ct(e).remove(),e=i}}setConnected(e){this._$AM===void 0&&(this._$Cv=e,this._$AP?.(e))}},F=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(e,s,i,n,r){this.type=1,this._$AH=m,this._$AN=void 0,this.element=e,this.name=s,this._$AM=n,this.options=r,i.length>2||i[0]!==""||i[1]!==""?(this._$AH=Array(i.length-1).fill(new String),this.strings=i):this._$AH=m}_$AI(e,s=this,i,n){let r=this.strings,o=!1;if(r===void 0)e=q(this,e,s,0),o=!rt(e)||e!==this._$AH&&e!==V,o&&(this._$AH=e);else{let p=e,l,h;for(e=r[0],l=0;l<r.length-1;l++)h=q(this,p[i+l],s,l),h===V&&(h=this._$AH[l]),o||=!rt(h)||h!==this._$AH[l],h===m?e=m:e!==m&&(e+=(h??"")+r[l+1]),this._$AH[l]=h}o&&!n&&this.j(e)}j(e){e===m?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,e??"")}},ht=class extends F{constructor(){super(...arguments),this.type=3}j(e){this.element[this.name]=e===m?void 0:e}},$t=class extends F{constructor(){super(...arguments),this.type=4}j(e){this.element.toggleAttribute(this.name,!!e&&e!==m)}},gt=class extends F{constructor(e,s,i,n,r){super(e,s,i,n,r),this.type=5}_$AI(e,s=this){if((e=q(this,e,s,0)??m)===V)return;let i=this._$AH,n=e===m&&i!==m||e.capture!==i.capture||e.once!==i.once||e.passive!==i.passive,r=e!==m&&(i===m||n);n&&this.element.removeEventListener(this.name,this,i),r&&this.element.addEventListener(this.name,this,e),this._$AH=e}handleEvent(e){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,e):this._$AH.handleEvent(e)}},mt=class{constructor(e,s,i){this.element=e,this.type=6,this._$AN=void 0,this._$AM=s,this.options=i}get _$AU(){return this._$AM._$AU}_$AI(e){q(this,e)}},Dt={M:wt,P:O,A:At,C:1,L:Bt,R:ut,D:Rt,V:q,I:Q,H:F,N:$t,U:gt,B:ht,F:mt},ge=yt.litHtmlPolyfillSupport;ge?.(at,Q),(yt.litHtmlVersions??=[]).push("3.3.3");var Ut=(t,e,s)=>{let i=s?.renderBefore??e,n=i._$litPart$;if(n===void 0){let r=s?.renderBefore??null;i._$litPart$=n=new Q(e.insertBefore(it(),r),r,void 0,s??{})}return n._$AI(t),n};var Vt=`.lk {
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
`;function ke(t,e){let s=t.getRootNode(),i=s instanceof ShadowRoot?s:document.head;if(!i.querySelector("style[data-labkit]")){let n=document.createElement("style");n.dataset.labkit="",n.textContent=`${e.palette}
${Vt}`,i.append(n)}}var W=globalThis.labkitTwins??=new Map;function fe(t){if(!t)return()=>{};let e=()=>{let s=document.head.querySelector("style[data-labkit-twins]");s||(s=document.createElement("style"),s.dataset.labkitTwins="",document.head.append(s)),s.textContent=[...W.keys()].map(i=>`[data-lk-twin="${i}"], .jp-OutputArea-child:has([data-lk-twin="${i}"]) { display: none; }`).join(`
`)};return W.set(t,(W.get(t)??0)+1),e(),()=>{W.set(t,W.get(t)-1),W.get(t)||W.delete(t),e()}}function be(t){return t.comm_live===!1||t.comm?.jsServicesComm?.isDisposed===!0}function C({model:t,el:e,looks:s},i,n=()=>{}){ke(e,s),e.classList.add("lk");let r=!1,o=0,p=()=>{o=0,Ut(i(r),e),n(e)},l=()=>{o||=requestAnimationFrame(p)},h=setInterval(async()=>{let g=await t.widget_manager.get_model(t.get("own"));r!==be(g)&&(r=!r,l())},1e3);t.on("change",l);let x=fe(t.get("twin"));p();let a=()=>{cancelAnimationFrame(o),t.off("change",l),clearInterval(h),x()};return a.redraw=l,a.lost=()=>r,a}var P="The kernel was restarted: this is how it was. Run the cell again to have it live.";function Y(t,e,s=e){let[i,n]=t.signs[e]??t.signs.unknown;return c`<span class="lk-state" data-state=${e} style="color: var(--lk-${n})"><span class="lk-sign" aria-hidden="true">${i}</span> ${s}</span>`}function J(t,e){let[s,i,n]=t.engines[e];return c`<span class="lk-chip" style="background: ${i}; color: ${n}">${s}</span>`}function tt(t){return t==null?c`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`:c`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100*t)} aria-label="progress"><div style="width: ${100*t}%"></div></span>`}function kt([t,e],s){return c`<div class="lk-error" role="alert"><div>${t}${e?c`<br>→ ${e}`:m}</div>
    ${s?c`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${s}>✕</button>`:m}</div>`}function K(t){return t==null?"":`${(100*t).toPrecision(t>=.995?3:2).replace(/\.0+$/,"")} %`}function Tt(t,e,s,i){if(t.length<2)return m;let[n,r]=[90,18],o=Math.max(e,...t),p=t.map((l,h)=>`${(n-1-(t.length-1-h)*(n-2)/59).toFixed(1)},${(r-1-(r-2)*l/o).toFixed(1)}`).join(" ");return c`<svg width=${n} height=${r} viewBox="0 0 ${n} ${r}" role="img" aria-label=${i}>
    <line x1="0" y1=${r-.5} x2=${n} y2=${r-.5} stroke="var(--lk-line)"></line>
    <polyline points=${p} fill="none" stroke=${s} stroke-width="1.3"></polyline></svg>`}var ve={start:"boot it",resume:"let its processors go on",pause:"stop its processors where they are",stop:"shut it down in an orderly way",restart:"shut it down and boot it again",kill:"switch it off, as if the power failed",run:"run a command in it",console:"open its console",snapshot:"keep its state under a name",revert:"go back to a snapshot",clone:"make a second one with the same disk",resize:"change memory or processors",limits:"limit its processor time",stats:"show its counters",attach:"connect it to a network",detach:"take it from a network",link:"change its link to a network",migrate:"move it to another host",destroy:"end it and remove all it had"},ot={run:[["command","command","uname -a"]],snapshot:[["name","name","snap-1"]],revert:[["name","snapshot",null]],clone:[["name","name of the clone",""]],migrate:[["to","to host",null]],resize:[["memory","memory",""],["vcpus","processors",""]],limits:[["cpus","processors (empty: no limit)","0.5"]],attach:[["network","network",null],["address","address (empty: the next one)",""]],detach:[["network","network",null]],link:[["network","network",null],["cable","cable (in or out)","in"],["bandwidth","bandwidth (empty: no limit)",""]]};function xe({model:t,el:e,looks:s}){let i="",n="",r=!1,o=()=>v.redraw();function p($){if(ot[$]||$==="destroy"){n=n===$?"":$,n&&ot[$]?.some(([,,b])=>b===null)&&t.send({ask:"words",verb:$}),o(),n&&queueMicrotask(()=>requestAnimationFrame(()=>e.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));return}if($==="stats"){r=!r,o();return}l($,{})}function l($,b){i=$==="console"?"":$,n="",t.send({ask:"verb",verb:$,words:b}),o()}function h($,b,w){let j=b.doing&&(i===$||b.doing.split(" ")[0]===$),T=w||!b.fit.includes($)&&$!=="console"||!!b.ended,N=w?"the kernel was restarted":b.doing?`it is busy: ${b.doing}`:`not while it is ${b.state}`;return c`<button class=${$==="destroy"?"lk-danger":""} aria-disabled=${T?"true":"false"} ?data-busy=${j}
      title=${T?N:ve[$]} data-verb=${$}
      aria-expanded=${ot[$]||$==="destroy"?String(n===$):m}
      @click=${()=>T||p($)}>${$}${j?" …":""}</button>`}function x($){if(!n)return m;if(n==="destroy")return c`<div class="lk-ask" role="group" aria-label="destroy ${$}?">Destroy ${$} and all it has?
        <button class="lk-danger" @click=${()=>l("destroy",{})}>Destroy</button>
        <button @click=${()=>{n="",o()}}>Keep it</button></div>`;let b=t.get("asking"),w=b.verb===n?b.names:[];return c`<form class="lk-ask" @submit=${T=>{T.preventDefault(),l(n,Object.fromEntries(new FormData(T.target)))}} @keydown=${T=>{T.key==="Escape"&&(n="",o()),T.stopPropagation()}}>
      ${ot[n].map(([T,N,R])=>c`<label>${N}
        ${R===null?c`<select name=${T}>${w.map(H=>c`<option>${H}</option>`)}</select>`:c`<input type="text" name=${T} value=${R} autocomplete="off" spellcheck="false">`}</label>`)}
      ${ot[n][0][2]===null&&!w.length?c`<span class="lk-dim">there is none</span>`:c`<button type="submit">${n}</button>`}
      <button type="button" @click=${()=>{n="",o()}}>cancel</button></form>`}function a($,b){return!b.length||$.cpu===null?m:c`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${K($.cpu)}
        ${Tt(b.map(([w])=>w),1,"var(--lk-busy)",`processor use, now ${K($.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${$.memory}
        ${Tt(b.map(([,w])=>w),1,"var(--lk-paused)",`memory held, now ${$.memory}`)}</span></dd>`}function g($){let b=t.get("fixed"),w=t.get("now"),j=t.get("usage"),T=t.get("result");w.doing||(i="");let N=Object.entries(b.absent),R=N.map(([H,E])=>`${H}: ${E}`).join(`
`);return c`<div class="lk-box" role="group" aria-label="machine ${b.name}, ${w.ended||w.state}">
      <div class="lk-head">${J(s,b.engine)}<span class="lk-name">${b.name}</span>
        <span class="lk-dim">on ${w.host}</span>
        <span class="lk-right" aria-live="polite">${w.ended?c`<span class="lk-dim">${w.ended}</span>`:Y(s,w.state)}</span></div>
      <dl class="lk-facts">
        ${b.facts.map(([H,E])=>c`<dt>${H}</dt><dd>${E}</dd>`)}
        ${w.networks.map(([H,E,vt,G])=>c`<dt>${H}</dt><dd>${E} <span class="lk-dim">(${vt})${G==="up"?"":c` · ${G}`}</span></dd>`)}
        ${r||!w.ended?a(w,j):m}
      </dl>
      ${w.ended?m:c`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${b.name}">
        ${b.verbs.filter(H=>H!=="stats").map(H=>h(H,w,$))}
        ${N.length?c`<span class="lk-absent" tabindex="0" role="note" title=${R} aria-label="not possible here: ${R}">not here: ${N.map(([H])=>H).join(", ")}</span>`:m}</div>`}
      ${w.doing?c`<div class="lk-doing" role="status">${tt(w.fraction)} ${w.doing}${w.fraction===null?"":` ${Math.round(100*w.fraction)} %`}</div>`:m}
      ${w.ended||$?m:x(b.name)}
      ${w.error.length?kt(w.error,$?null:()=>t.send({ask:"dismiss"})):m}
      ${T.command?c`<div class="lk-dim" style="margin-top: 6px"><code>${T.command}</code>
        ${T.exit_code?c`· ${Y(s,"failed",`exit code ${T.exit_code}`)}`:m}
        <button class="lk-plain" aria-label="dismiss the output" @click=${()=>t.send({ask:"dismiss"})}>✕</button></div><pre>${T.text}</pre>`:m}
      ${$?c`<div class="lk-dim" style="margin-top: 6px">${P}</div>`:m}
      <div class="lk-slot"></div>
    </div>`}let u=lt(t,e,"terminal"),v=C({model:t,el:e,looks:s},g,u);return v}function lt(t,e,s){let i="";return async()=>{let n=t.get(s);if(n===i)return;i=n;let r=e.querySelector(".lk-slot");if(r.replaceChildren(),r.style.marginTop=n?"10px":"0",!n)return;let o=await t.widget_manager.get_model(n),p=await t.widget_manager.create_view(o);if(i!==n)return;let l=p.luminoWidget?.node??p.el;r.append(l)}}function ye({model:t,el:e,looks:s}){let i=(l,h)=>t.send({ask:"change",name:l,value:h});function n(l,h,x){let a=t.get("values")[l.name],g=t.get("errors")[l.name],u={id:h,wrong:g?"true":"false",about:`${h}-about`};return l.kind==="check"?c`<input type="checkbox" id=${h} .checked=${a} ?disabled=${x} aria-describedby=${u.about} @change=${v=>i(l.name,v.target.checked)}>`:l.kind==="many"?l.choices.length?c`<span role="group" id=${h}>${l.choices.map(v=>c`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${a.includes(v)} ?disabled=${x}
          @change=${$=>i(l.name,$.target.checked?[...a,v]:a.filter(b=>b!==v))}> ${v}</label>`)}</span>`:c`<span class="lk-dim" id=${h}>there are none yet</span>`:c`<input type="text" id=${h} .value=${String(a)} ?disabled=${x} autocomplete="off" spellcheck="false"
      inputmode=${l.kind==="number"?"numeric":m} aria-invalid=${u.wrong} aria-describedby=${u.about}
      @input=${v=>i(l.name,v.target.value)}>`}let r=`lk${Math.random().toString(36).slice(2)}`,o=lt(t,e,"card");return C({model:t,el:e,looks:s},l=>{let h=t.get("errors"),x=t.get("busy"),a=l||!!x||Object.keys(h).length>0;return c`<form class="lk-box" @submit=${u=>{u.preventDefault(),a||t.send({ask:"create"})}} @keydown=${u=>u.stopPropagation()} aria-label=${t.get("title")}>
      <div class="lk-head">${J(s,t.get("engine_kind"))}<span class="lk-name">${t.get("title")}</span></div>
      <div class="lk-fields">${t.get("fields").map(u=>c`<label for="${r}-${u.name}">${u.label}</label>
        ${n(u,`${r}-${u.name}`,l||!!x)}
        <span id="${r}-${u.name}-about" class=${h[u.name]?"lk-wrong":"lk-help"}>${h[u.name]?`✖ ${h[u.name]}`:u.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${t.get("code")||"(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${a?"true":"false"}>Create</button>
        ${x?c`<span class="lk-doing" role="status" style="margin: 0">${tt(null)} ${x}</span>`:m}</div>
      ${t.get("failed").length?kt(t.get("failed")):m}
      ${l?c`<div class="lk-dim">${P}</div>`:m}
      <div class="lk-slot"></div></form>`},o)}var we={start:"M3 1.5v9l7-4.5z",resume:"M3 1.5v9l7-4.5z",pause:"M3 2h2v8H3zM7 2h2v8H7z",stop:"M2.5 2.5h7v7h-7z",restart:"M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",kill:"M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",destroy:"M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z"},Ae=t=>c`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${we[t]}></path></svg>`,_e=[["name","machine"],["state","state"],["cpu","processor"],["memory","memory"],["addresses","addresses"]],Me={B:1,KiB:1024,MiB:1024**2,GiB:1024**3,TiB:1024**4};function Te(t,e){if(e==="cpu")return t.cpu??-1;if(e==="memory"){let[s,i]=t.memory.split(" ");return Number(s||-1)*(Me[i]??1)}return e==="addresses"?t.addresses.map(s=>s.split(".").map(i=>i.padStart(3,"0")).join(".")).join():t[e].replace(/\d+/g,s=>s.padStart(6,"0"))}function Se(t,[e,s]){let i=t.map(n=>[Te(n,e),n]);return i.sort(([n],[r])=>n<r?-1:n>r?1:0),s&&i.reverse(),i.map(([,n])=>n)}function qt(t,e,s,i,n,r){let o=(a,g)=>t.send({ask:"verb",host:a.host,name:a.name,verb:g});function p(a,g,u){if(!a.verbs.includes(g))return m;let v=u||!a.fit.includes(g),$=i.sure===`${a.host}/${a.name}`;if(g==="destroy"&&$)return c`<button class="lk-danger" @click=${()=>{i.sure="",o(a,g),n()}}>destroy ${a.name}?</button>
        <button @click=${()=>{i.sure="",n()}}>keep</button>`;let b=()=>{v||(g==="destroy"?i.sure=`${a.host}/${a.name}`:o(a,g),n())};return c`<button aria-disabled=${v?"true":"false"} data-verb=${g} aria-label="${g} ${a.name}" title=${g} @click=${b}>${Ae(g)}</button>`}function l(a,g){let u=a.verbs.includes("resume")&&a.state==="paused"?"resume":"pause",v=a.fit.includes("start")||a.state==="stopped"?"start":"stop";return c`<tr class="lk-row" data-machine=${a.name}><td>${J(s,a.engine)} ${a.name}</td>
      <td>${a.doing?Y(s,"starting",`${a.doing}${a.fraction===null?"":` ${Math.round(100*a.fraction)} %`}`):Y(s,a.state)}
        ${a.error.length?c`<span tabindex="0" role="note" title=${a.error.join(`
→ `)} aria-label="last error: ${a.error.join(". ")}">${Y(s,"failed","error")}</span>`:m}</td>
      <td class="lk-number">${K(a.cpu)}</td><td class="lk-number">${a.memory}</td>
      <td class="lk-addresses">${a.addresses.join(", ")}</td>
      <td class="lk-acts">${[u,v,"restart","kill","destroy"].map($=>p(a,$,g))}</td></tr>`}function h(){return c`<thead><tr>${_e.map(([a,g])=>{let u=i.sort[0]===a;return c`<th scope="col" aria-sort=${u?i.sort[1]?"descending":"ascending":"none"}>
        <button @click=${()=>{i.sort=[a,u&&!i.sort[1]],n()}} title="sort by ${g}">${g} ${u?i.sort[1]?"▾":"▴":""}</button></th>`})}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`}function x(a,g,u){let v=!i.closed.has(a.name),$=()=>{v?i.closed.add(a.name):i.closed.delete(a.name),n()};return c`<tbody>${r?m:c`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(v)} aria-label="machines of ${a.name}" @click=${$}>${v?"▾":"▸"}</button>
        <b>${a.name}</b> <span class="lk-dim">${a.address} · ${a.ended?"has ended":a.count===1?"1 machine":`${a.count} machines`}${a.count?`, ${a.running} running`:""}</span></th>
        <td class="lk-number lk-dim">${K(a.cpu)}</td><td class="lk-number lk-dim">${a.memory}</td><td colspan="2"></td></tr>`}
      ${v||r?Se(g.filter(b=>b.host===a.name),i.sort).map(b=>l(b,u)):m}</tbody>`}return a=>{let g=t.get("rows");return c`<div class="lk-scroll"><table aria-label="machines of ${t.get("title")}">${h()}
      ${t.get("hosts").map(u=>x(u,g,a))}</table></div>`}}function Ft(t,e){let s=t.get("ended");return s||e?c`<div class="lk-dim" style="margin-top: 6px">${s||P}</div>`:m}function He({model:t,el:e,looks:s}){let n=qt(t,e,s,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!1),r=C({model:t,el:e,looks:s},o=>c`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">lab</span></div>
    ${t.get("ended")?m:n(o)}
    ${t.get("networks").length&&!t.get("ended")?c`<div class="lk-dim" style="margin-top: 4px">networks: ${t.get("networks").map(([p,l,h,x])=>c`<span title=${x} style="margin-right: 14px">${p} ${h} (${l})</span>`)}</div>`:m}
    ${Ft(t,o)}</div>`);return r}function Ce({model:t,el:e,looks:s}){let n=qt(t,e,s,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!0),r=C({model:t,el:e,looks:s},o=>{let[p]=t.get("hosts");return c`<div class="lk-box" role="group" aria-label="host ${p.name}">
      <div class="lk-head"><span class="lk-name">${p.name}</span><span class="lk-dim">host, ${p.provider}</span>
        <span class="lk-right lk-dim">${p.address}</span></div>
      <dl class="lk-facts">${t.get("facts").map(([l,h])=>c`<dt>${l}</dt><dd>${h}</dd>`)}
        <dt>machines</dt><dd>${p.count}${p.count?`, ${p.running} running`:""}${p.cpu===null?"":`, using ${K(p.cpu)} of a processor and ${p.memory}`}</dd></dl>
      ${p.count&&!t.get("ended")?c`<div style="margin-top: 8px">${n(o)}</div>`:m}
      ${Ft(t,o)}</div>`});return r}var Wt={ATTRIBUTE:1,CHILD:2,PROPERTY:3,BOOLEAN_ATTRIBUTE:4,EVENT:5,ELEMENT:6},Yt=t=>(...e)=>({_$litDirective$:t,values:e}),ft=class{constructor(e){}get _$AU(){return this._$AM._$AU}_$AT(e,s,i){this._$Ct=e,this._$AM=s,this._$Ci=i}_$AS(e,s){return this.update(e,s)}update(e,s){return this.render(...s)}};var{I:je}=Dt,Kt=t=>t;var Gt=()=>document.createComment(""),et=(t,e,s)=>{let i=t._$AA.parentNode,n=e===void 0?t._$AB:e._$AA;if(s===void 0){let r=i.insertBefore(Gt(),n),o=i.insertBefore(Gt(),n);s=new je(r,o,t,t.options)}else{let r=s._$AB.nextSibling,o=s._$AM,p=o!==t;if(p){let l;s._$AQ?.(t),s._$AM=t,s._$AP!==void 0&&(l=t._$AU)!==o._$AU&&s._$AP(l)}if(r!==n||p){let l=s._$AA;for(;l!==r;){let h=Kt(l).nextSibling;Kt(i).insertBefore(l,n),l=h}}}return s},L=(t,e,s=t)=>(t._$AI(e,s),t),ze={},Xt=(t,e=ze)=>t._$AH=e,Qt=t=>t._$AH,bt=t=>{t._$AR(),t._$AA.remove()};var Zt=(t,e,s)=>{let i=new Map;for(let n=e;n<=s;n++)i.set(t[n],n);return i},dt=Yt(class extends ft{constructor(t){if(super(t),t.type!==Wt.CHILD)throw Error("repeat() can only be used in text expressions")}dt(t,e,s){let i;s===void 0?s=e:e!==void 0&&(i=e);let n=[],r=[],o=0;for(let p of t)n[o]=i?i(p,o):o,r[o]=s(p,o),o++;return{values:r,keys:n}}render(t,e,s){return this.dt(t,e,s).values}update(t,[e,s,i]){let n=Qt(t),{values:r,keys:o}=this.dt(e,s,i);if(!Array.isArray(n))return this.ut=o,r;let p=this.ut??=[],l=[],h,x,a=0,g=n.length-1,u=0,v=r.length-1;for(;a<=g&&u<=v;)if(n[a]===null)a++;else if(n[g]===null)g--;else if(p[a]===o[u])l[u]=L(n[a],r[u]),a++,u++;else if(p[g]===o[v])l[v]=L(n[g],r[v]),g--,v--;else if(p[a]===o[v])l[v]=L(n[a],r[v]),et(t,l[v+1],n[a]),a++,v--;else if(p[g]===o[u])l[u]=L(n[g],r[u]),et(t,n[a],n[g]),g--,u++;else if(h===void 0&&(h=Zt(o,u,v),x=Zt(p,a,g)),h.has(p[a]))if(h.has(p[g])){let $=x.get(o[u]),b=$!==void 0?n[$]:null;if(b===null){let w=et(t,n[a]);L(w,r[u]),l[u]=w}else l[u]=L(b,r[u]),et(t,n[a],b),n[$]=null;u++}else bt(n[g]),g--;else bt(n[a]),a++;for(;u<=v;){let $=et(t,l[v+1]);L($,r[u]),l[u++]=$}for(;a<=g;){let $=n[a++];$!==null&&bt($)}return this.ut=o,Xt(t,l),V}});var[se,ie,Ne,Jt,Oe,St]=[15,12,7,12,28,8],Pe={width:312,height:26},te={ArrowLeft:[-1,0],ArrowRight:[1,0],ArrowUp:[0,-1],ArrowDown:[0,1]},ct=([t,e],{width:s,height:i})=>({left:t-s/2,top:e-i/2,right:t+s/2,bottom:e+i/2}),re=t=>({left:Math.min(...t.map(e=>e.left)),top:Math.min(...t.map(e=>e.top)),right:Math.max(...t.map(e=>e.right)),bottom:Math.max(...t.map(e=>e.bottom))}),ae=(t,e,s,i)=>({left:t.left-e,top:t.top-s,right:t.right+e,bottom:t.bottom+i});function ee(t,e,s){let i=t.inside.filter(n=>s[n]).map(n=>ct(s[n],e.get(n)));return ae(re(i.length?i:[ct(s[t.id],Pe)]),Jt,Oe,Jt)}function Le(t,e,s){let i=new Set(e.networks.filter(o=>o.own).map(o=>o.id)),n=e.links.filter(o=>o.machine===t.id&&!i.has(o.network)).map(o=>o.network),r=n.length?n:e.networks.filter(o=>!o.own).map(o=>o.id);return!r.length||s[t.id][0]<=r.reduce((o,p)=>o+s[p][0],0)/r.length}function Re(t,e,s){let i=t.links.map(n=>{let r=e.get(n.machine),[o,p]=s[n.machine],l=s[n.network][0]>=o?1:-1,h=n.row<0?p:p-r.height/2+ie+se*n.row;return{link:n,side:l,x:o+l*r.width/2,y:h}});for(let n of t.networks)for(let r of[-1,1]){let o=i.filter(l=>l.link.network===n.id&&l.side===r);o.sort((l,h)=>l.y-h.y);let p=Math.min(Ne,(n.height-12)/Math.max(1,o.length-1));o.forEach((l,h)=>{l.toX=s[n.id][0]-r*n.width/2,l.toY=s[n.id][1]+p*(h-(o.length-1)/2)})}return i}function ne({x:t,y:e,toX:s,toY:i,side:n}){let r=n*Math.max(24,Math.abs(s-t)/2);return`M${t} ${e}C${t+r} ${e} ${s-r} ${i} ${s} ${i}`}function Ee({model:t,el:e,looks:s}){let i=null,n=null,r="",o=[],p="",l=()=>nt.redraw(),h=d=>new Map([...d.machines,...d.networks].map(f=>[f.id,f]));function x(d,f){let k=`${t.get("arranged")} ${d.machines.map(y=>y.id).sort().join(" ")}`;if(k!==p){let y=new Map(d.hosts.flatMap((A,S)=>A.inside.map(M=>[M,S])));o=d.machines.map(A=>A.id),o.sort((A,S)=>y.get(A)-y.get(S)||f[A][1]-f[S][1]),p=k}return[...d.machines].sort((y,A)=>o.indexOf(y.id)-o.indexOf(A.id))}function a(){let d=t.get("places");if(!n?.ids.length||!n.moved)return d;let f={...d};for(let k of n.ids)d[k]&&(f[k]=[d[k][0]+n.by[0],d[k][1]+n.by[1]]);return f}function g(d,f,k){let y=[...d.networks.map(_=>ct(k[_.id],_)),...d.hosts.map(_=>ee(_,f,k))],{left:A,top:S,right:M,bottom:z}=ae(y.length?re(y):{left:0,top:0,right:300,bottom:40},St,St,St);return[A,S,M-A,z-S]}function u(d){let f=new DOMPoint(d.clientX,d.clientY).matrixTransform(e.querySelector(".lk-topo").getScreenCTM().inverse());return[f.x,f.y]}function v(d,f){let k={...t.get("places")},y={};for(let A of d)k[A]&&(y[A]=k[A]=[Math.round(k[A][0]+f[0]),Math.round(k[A][1]+f[1])]);t.set("places",k),t.send({ask:"move",places:y}),l()}function $(d,f){let[k,y,A,S]=w(),[M,z]=f??[k+A/2,y+S/2],_=Math.min(8,Math.max(.1,d*(A/b[2])))/(A/b[2]);i=[M-(M-k)*_,z-(z-y)*_,A*_,S*_],l()}let b=[0,0,300,40],w=()=>i??b,j=d=>nt.lost()||t.send({ask:"open",machine:d});function T(d,f,k){d.button!==0||n||(d.stopPropagation(),e.querySelector(".lk-topo").setPointerCapture(d.pointerId),n={ids:nt.lost()?[]:f,id:k,from:u(d),by:[0,0],at:[d.clientX,d.clientY],moved:!1,view:w(),pan:!f.length})}function N(d){if(!n||!n.moved&&Math.hypot(d.clientX-n.at[0],d.clientY-n.at[1])<4)return;n.moved=!0;let[f,k]=u(d);if(n.pan){let[y,A,S,M]=w();i=[y+n.from[0]-f,A+n.from[1]-k,S,M]}else n.by=[f-n.from[0],k-n.from[1]];l()}function R(){if(!n)return;let{ids:d,id:f,by:k,moved:y}=n;n=null,y&&d.length?v(d,k):!y&&f&&j(f),l()}function H(){n=null,l()}function E(d){!d.ctrlKey&&!d.metaKey||(d.preventDefault(),$(Math.exp(Math.sign(d.deltaY)*.15),u(d)))}function vt(d,f){if(d.key==="Enter"||d.key===" ")j(f);else if(te[d.key]&&!nt.lost())v([f],te[d.key].map(k=>10*k));else return;d.preventDefault(),d.stopPropagation()}let G=d=>d.machine===r||d.network===r,X=d=>{r=n?r:d,l()};function oe(d,f,k){let{left:y,top:A,right:S,bottom:M}=ee(d,f,k);return Z`<g class="lk-t-grip" data-host=${d.id} @pointerdown=${z=>T(z,d.inside.length?d.inside:[d.id],"")}>
      <title>${d.title}</title>
      <rect class="lk-t-region" x=${y} y=${A} width=${S-y} height=${M-A} rx="8" stroke-dasharray=${d.ended?"6 4":m}></rect>
      <text class="lk-t-ink" x=${y+12} y=${A+19} font-size="13" font-weight="600">${d.name}<tspan class="lk-t-${d.ended?"failed":"dim"}" dx="10" font-size="10.5" font-weight="400">${d.ended?`${s.signs.failed[0]} `:""}${d.words}</tspan></text></g>`}function le(d,f){let{link:k}=d;return Z`<g class=${f&&!G(k)?"lk-t-faint":""} data-link="${k.machine} ${k.network}" data-up=${String(k.up)}><title>${k.title}</title>
      <path class=${k.up?`lk-t-net${k.colour}`:"lk-t-down"} d=${ne(d)} fill="none" stroke-width=${G(k)?2.6:1.4}
        stroke-dasharray=${k.up?m:"4 4"}></path><path class="lk-t-wide" d=${ne(d)}></path></g>`}function de(d,f){let[k,y]=f[d.id],{left:A,top:S}=ct([k,y],d);return Z`<g class="lk-t-grip" data-network=${d.id} role="img" aria-label=${d.title} @pointerenter=${()=>X(d.id)} @pointerleave=${()=>X("")}
      @pointerdown=${M=>T(M,[d.id],"")}><title>${d.title}</title>
      <rect class="lk-t-card lk-t-net${d.colour}" x=${A} y=${S} width=${d.width} height=${d.height} rx="12" stroke-width="2"></rect>
      <text class="lk-t-ink" x=${k} y=${y-3} font-size="12" font-weight="600" text-anchor="middle">${d.name}</text>
      <text class="lk-t-dim" x=${k} y=${y+12} font-size="10.5" text-anchor="middle">${d.words}</text></g>`}function ce(d,f,k){let y=ct(k[d.id],d),A=Le(d,f,k),S=y.left+(A?4:100),M=y.top+ie,[z,_,ue]=d.engine,Ht=t.get("selected")===d.id;return Z`<g class="lk-t-machine" data-machine=${d.id} data-state=${d.state} tabindex="0" role="button" aria-label=${d.title} aria-expanded=${String(Ht)}
      @pointerenter=${()=>X(d.id)} @pointerleave=${()=>X("")} @focus=${()=>X(d.id)} @blur=${()=>X("")}
      @pointerdown=${I=>T(I,[d.id],d.id)} @keydown=${I=>vt(I,d.id)}
      @click=${I=>I.detail===0&&j(d.id)}><title>${d.title}</title>
      <rect class="lk-t-card ${Ht?"lk-t-chosen":""}" x=${y.left} y=${y.top} width=${d.width} height=${d.height} rx="4"></rect>
      <rect x=${S} y=${M-7.5} width="42" height="15" rx="3" fill=${_}></rect>
      <text x=${S+21} y=${M+3.5} font-size="9.5" font-weight="600" text-anchor="middle" fill=${ue}>${z}</text>
      <text class="lk-t-${d.colour}" x=${S+54} y=${M+4} font-size="10" text-anchor="middle" aria-hidden="true">${d.sign}</text>
      <text class="lk-t-ink" x=${S+66} y=${M+4} font-size="12">${d.name}</text>
      <text class="lk-t-${d.colour}" x=${y.right-(A?100:6)} y=${M+4} font-size="10.5" text-anchor="end">${d.word}</text>
      ${d.rows.map((I,he)=>Z`<text class="lk-t-dim" x=${A?y.right-6:y.left+6} y=${M+4+se*he} font-size="10.5" text-anchor=${A?"end":"start"}>${I}</text>`)}</g>`}function pe(d){let f=t.get("seen"),k=a(),y=h(f);if([...y.keys(),...f.hosts.map(_=>_.id)].some(_=>!k[_]))return c``;n||(b=g(f,y,k));let[,,A,S]=b,M=t.get("ended"),z=f.links.some(G);return c`<div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">topology</span>
        <span class="lk-right" role="toolbar" aria-label="view of the picture">
          <button aria-label="nearer" title="nearer (Ctrl and the wheel, too)" @click=${()=>$(1/1.25)}>+</button>
          <button aria-label="farther" title="farther" @click=${()=>$(1.25)}>−</button>
          <button title="show all of it" @click=${()=>{i=null,l()}}>fit</button>
          <button aria-disabled=${String(d||!!M)} title="lay everything out anew" @click=${()=>{!d&&!M&&(i=null,t.send({ask:"arrange"}))}}>arrange</button></span></div>
      <svg class="lk-topo" data-lm-suppress-shortcuts="true" role="group" aria-label="topology of ${f.title}" viewBox=${w().join(" ")}
        style="aspect-ratio: ${A} / ${S}; max-width: ${Math.round(1.2*A)}px" ?data-held=${!!n?.moved}
        @pointerdown=${_=>T(_,[],"")} @pointermove=${N} @pointerup=${R} @pointercancel=${H} @wheel=${E}>
        ${dt(f.hosts,_=>_.id,_=>oe(_,y,k))}
        ${dt(Re(f,y,k),({link:_})=>`${_.machine} ${_.network}`,_=>le(_,z))}
        ${dt(f.networks,_=>_.id,_=>de(_,k))}
        ${dt(x(f,k),_=>_.id,_=>ce(_,f,k))}</svg>
      ${t.get("note")?c`<div class="lk-dim">${t.get("note")}</div>`:m}
      ${M||d?c`<div class="lk-dim" role="status">${M||P}</div>`:m}
      ${t.get("card")?c`<div class="lk-topo-card">${y.get(t.get("selected"))?.name??""}
        <button class="lk-plain" aria-label="close the card" title="close the card" @click=${()=>j("")}>✕</button></div>`:m}
      <div class="lk-slot"></div>`}let nt=C({model:t,el:e,looks:s},pe,lt(t,e,"card"));return nt}function hn({model:t,el:e,looks:s}){let i=performance.now()-1e3*t.get("elapsed_s"),n=!1,r=C({model:t,el:e,looks:s},p=>{let l=t.get("ended")||(p?"the kernel was restarted":""),h=(performance.now()-i)/1e3;return l?(clearInterval(o),c`<div class="lk-dim"><b>${t.get("title")}</b>: ${l}</div>`):c`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${t.get("title")}</b> ${tt(t.get("fraction"))} <span>${t.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${h.toFixed(0)} s</span>
      <button aria-disabled=${String(n)} @click=${()=>{n||(n=!0,t.send({ask:"cancel"}),r.redraw())}}>${n?"cancelling …":"Cancel"}</button></div>`}),o=setInterval(()=>r.redraw(),1e3);return()=>{clearInterval(o),r()}}function $n({model:t,el:e,looks:s}){let i=!1,n=!1,r="",o=null,p=C({model:t,el:e,looks:s},x=>{let a=t.get("picture");a!==o&&a?.byteLength&&(URL.revokeObjectURL(r),r=URL.createObjectURL(new Blob([a],{type:"image/png"})),o=a);let[g,u]=t.get("size");return c`<div class="lk-screen" ?data-large=${i}><div class="lk-dim">${t.get("title")}</div>
      ${r?c`<button aria-label="${i?"smaller":"larger"}: ${t.get("title")}" aria-pressed=${String(i)}
        @click=${()=>{i=!i,p.redraw()}}><img src=${r} alt="what the screen shows, ${g} by ${u} pixels"></button>`:m}
      ${t.get("note")||x?c`<div class="lk-dim">${t.get("note")||"the kernel was restarted"}</div>`:m}</div>`}),l=new IntersectionObserver(([x])=>{n=x.isIntersecting});l.observe(e);let h=setInterval(()=>{n&&!document.hidden&&!p.lost()&&t.send({ask:"picture"})},2e3);return()=>{clearInterval(h),l.disconnect(),URL.revokeObjectURL(r),p()}}export{xe as card,ye as form,Ce as host,hn as progress,$n as screen,He as table,Ee as topology};
