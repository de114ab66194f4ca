var _t=globalThis,jt=t=>t,ht=_t.trustedTypes,Ot=ht?ht.createPolicy("lit-html",{createHTML:t=>t}):void 0,Mt="$lit$",O=`lit$${Math.random().toFixed(9).slice(2)}$`,Tt="?"+O,me=`<${Tt}>`,F=document,rt=()=>F.createComment(""),at=t=>t===null||typeof t!="object"&&typeof t!="function",St=Array.isArray,Bt=t=>St(t)||typeof t?.[Symbol.iterator]=="function",At=`[ 	
\f\r]`,st=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,Pt=/-->/g,Rt=/>/g,V=RegExp(`>|${At}(?:([^\\s"'>=/]+)(${At}*=${At}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),Et=/'/g,It=/"/g,Ut=/^(?:script|style|textarea|title)$/i,Ht=t=>(e,...i)=>({_$litType$:t,strings:e,values:i}),d=Ht(1),tt=Ht(2),Ue=Ht(3),P=Symbol.for("lit-noChange"),g=Symbol.for("lit-nothing"),Dt=new WeakMap,q=F.createTreeWalker(F,129);function Vt(t,e){if(!St(t)||!t.hasOwnProperty("raw"))throw Error("invalid template strings array");return Ot!==void 0?Ot.createHTML(e):e}var qt=(t,e)=>{let i=t.length-1,s=[],n,a=e===2?"<svg>":e===3?"<math>":"",l=st;for(let p=0;p<i;p++){let o=t[p],$,k,r=-1,m=0;for(;m<o.length&&(l.lastIndex=m,k=l.exec(o),k!==null);)m=l.lastIndex,l===st?k[1]==="!--"?l=Pt:k[1]!==void 0?l=Rt:k[2]!==void 0?(Ut.test(k[2])&&(n=RegExp("</"+k[2],"g")),l=V):k[3]!==void 0&&(l=V):l===V?k[0]===">"?(l=n??st,r=-1):k[1]===void 0?r=-2:(r=l.lastIndex-k[2].length,$=k[1],l=k[3]===void 0?V:k[3]==='"'?It:Et):l===It||l===Et?l=V:l===Pt||l===Rt?l=st:(l=V,n=void 0);let u=l===V&&t[p+1].startsWith("/>")?" ":"";a+=l===st?o+me:r>=0?(s.push($),o.slice(0,r)+Mt+o.slice(r)+O+u):o+O+(r===-2?p:u)}return[Vt(t,a+(t[i]||"<?>")+(e===2?"</svg>":e===3?"</math>":"")),s]},ot=class t{constructor({strings:e,_$litType$:i},s){let n;this.parts=[];let a=0,l=0,p=e.length-1,o=this.parts,[$,k]=qt(e,i);if(this.el=t.createElement($,s),q.currentNode=this.el.content,i===2||i===3){let r=this.el.content.firstChild;r.replaceWith(...r.childNodes)}for(;(n=q.nextNode())!==null&&o.length<p;){if(n.nodeType===1){if(n.hasAttributes())for(let r of n.getAttributeNames())if(r.endsWith(Mt)){let m=k[l++],u=n.getAttribute(r).split(O),x=/([.?@])?(.*)/.exec(m);o.push({type:1,index:a,name:x[2],strings:u,ctor:x[1]==="."?gt:x[1]==="?"?mt:x[1]==="@"?kt:Y}),n.removeAttribute(r)}else r.startsWith(O)&&(o.push({type:6,index:a}),n.removeAttribute(r));if(Ut.test(n.tagName)){let r=n.textContent.split(O),m=r.length-1;if(m>0){n.textContent=ht?ht.emptyScript:"";for(let u=0;u<m;u++)n.append(r[u],rt()),q.nextNode(),o.push({type:2,index:++a});n.append(r[m],rt())}}}else if(n.nodeType===8)if(n.data===Tt)o.push({type:2,index:a});else{let r=-1;for(;(r=n.data.indexOf(O,r+1))!==-1;)o.push({type:7,index:a}),r+=O.length-1}a++}}static createElement(e,i){let s=F.createElement("template");return s.innerHTML=e,s}};function W(t,e,i=t,s){if(e===P)return e;let n=s!==void 0?i._$Co?.[s]:i._$Cl,a=at(e)?void 0:e._$litDirective$;return n?.constructor!==a&&(n?._$AO?.(!1),a===void 0?n=void 0:(n=new a(t),n._$AT(t,i,s)),s!==void 0?(i._$Co??=[])[s]=n:i._$Cl=n),n!==void 0&&(e=W(t,n._$AS(t,e.values),n,s)),e}var $t=class{constructor(e,i){this._$AV=[],this._$AN=void 0,this._$AD=e,this._$AM=i}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(e){let{el:{content:i},parts:s}=this._$AD,n=(e?.creationScope??F).importNode(i,!0);q.currentNode=n;let a=q.nextNode(),l=0,p=0,o=s[0];for(;o!==void 0;){if(l===o.index){let $;o.type===2?$=new J(a,a.nextSibling,this,e):o.type===1?$=new o.ctor(a,o.name,o.strings,this,e):o.type===6&&($=new ft(a,this,e)),this._$AV.push($),o=s[++p]}l!==o?.index&&(a=q.nextNode(),l++)}return q.currentNode=F,n}p(e){let i=0;for(let s of this._$AV)s!==void 0&&(s.strings!==void 0?(s._$AI(e,s,i),i+=s.strings.length-2):s._$AI(e[i])),i++}},J=class t{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(e,i,s,n){this.type=2,this._$AH=g,this._$AN=void 0,this._$AA=e,this._$AB=i,this._$AM=s,this.options=n,this._$Cv=n?.isConnected??!0}get parentNode(){let e=this._$AA.parentNode,i=this._$AM;return i!==void 0&&e?.nodeType===11&&(e=i.parentNode),e}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(e,i=this){e=W(this,e,i),at(e)?e===g||e==null||e===""?(this._$AH!==g&&this._$AR(),this._$AH=g):e!==this._$AH&&e!==P&&this._(e):e._$litType$!==void 0?this.$(e):e.nodeType!==void 0?this.T(e):Bt(e)?this.k(e):this._(e)}O(e){return this._$AA.parentNode.insertBefore(e,this._$AB)}T(e){this._$AH!==e&&(this._$AR(),this._$AH=this.O(e))}_(e){this._$AH!==g&&at(this._$AH)?this._$AA.nextSibling.data=e:this.T(F.createTextNode(e)),this._$AH=e}$(e){let{values:i,_$litType$:s}=e,n=typeof s=="number"?this._$AC(e):(s.el===void 0&&(s.el=ot.createElement(Vt(s.h,s.h[0]),this.options)),s);if(this._$AH?._$AD===n)this._$AH.p(i);else{let a=new $t(n,this),l=a.u(this.options);a.p(i),this.T(l),this._$AH=a}}_$AC(e){let i=Dt.get(e.strings);return i===void 0&&Dt.set(e.strings,i=new ot(e)),i}k(e){St(this._$AH)||(this._$AH=[],this._$AR());let i=this._$AH,s,n=0;for(let a of e)n===i.length?i.push(s=new t(this.O(rt()),this.O(rt()),this,this.options)):s=i[n],s._$AI(a),n++;n<i.length&&(this._$AR(s&&s._$AB.nextSibling,n),i.length=n)}_$AR(e=this._$AA.nextSibling,i){for(this._$AP?.(!1,!0,i);e!==this._$AB;){let s=jt(e).nextSibling;jt(e).remove(),e=s}}setConnected(e){this._$AM===void 0&&(this._$Cv=e,this._$AP?.(e))}},Y=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(e,i,s,n,a){this.type=1,this._$AH=g,this._$AN=void 0,this.element=e,this.name=i,this._$AM=n,this.options=a,s.length>2||s[0]!==""||s[1]!==""?(this._$AH=Array(s.length-1).fill(new String),this.strings=s):this._$AH=g}_$AI(e,i=this,s,n){let a=this.strings,l=!1;if(a===void 0)e=W(this,e,i,0),l=!at(e)||e!==this._$AH&&e!==P,l&&(this._$AH=e);else{let p=e,o,$;for(e=a[0],o=0;o<a.length-1;o++)$=W(this,p[s+o],i,o),$===P&&($=this._$AH[o]),l||=!at($)||$!==this._$AH[o],$===g?e=g:e!==g&&(e+=($??"")+a[o+1]),this._$AH[o]=$}l&&!n&&this.j(e)}j(e){e===g?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,e??"")}},gt=class extends Y{constructor(){super(...arguments),this.type=3}j(e){this.element[this.name]=e===g?void 0:e}},mt=class extends Y{constructor(){super(...arguments),this.type=4}j(e){this.element.toggleAttribute(this.name,!!e&&e!==g)}},kt=class extends Y{constructor(e,i,s,n,a){super(e,i,s,n,a),this.type=5}_$AI(e,i=this){if((e=W(this,e,i,0)??g)===P)return;let s=this._$AH,n=e===g&&s!==g||e.capture!==s.capture||e.once!==s.once||e.passive!==s.passive,a=e!==g&&(s===g||n);n&&this.element.removeEventListener(this.name,this,s),a&&this.element.addEventListener(this.name,this,e),this._$AH=e}handleEvent(e){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,e):this._$AH.handleEvent(e)}},ft=class{constructor(e,i,s){this.element=e,this.type=6,this._$AN=void 0,this._$AM=i,this.options=s}get _$AU(){return this._$AM._$AU}_$AI(e){W(this,e)}},Ft={M:Mt,P:O,A:Tt,C:1,L:qt,R:$t,D:Bt,V:W,I:J,H:Y,N:mt,U:kt,B:gt,F:ft},ke=_t.litHtmlPolyfillSupport;ke?.(ot,J),(_t.litHtmlVersions??=[]).push("3.3.3");var Wt=(t,e,i)=>{let s=i?.renderBefore??e,n=s._$litPart$;if(n===void 0){let a=i?.renderBefore??null;s._$litPart$=n=new J(e.insertBefore(rt(),a),a,void 0,i??{})}return n._$AI(t),n};var Yt=`.lk {
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
.lk-move { width: 100%; max-width: 1000px; }
.lk-move svg { display: block; max-width: 100%; }
.lk-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) { .lk-bar > div { background: Highlight; } }
`;function be(t,e){let i=t.getRootNode(),s=i instanceof ShadowRoot?i:document.head;if(!s.querySelector("style[data-labkit]")){let n=document.createElement("style");n.dataset.labkit="",n.textContent=`${e.palette}
${Yt}`,s.append(n)}}var K=globalThis.labkitTwins??=new Map;function ve(t){if(!t)return()=>{};let e=()=>{let i=document.head.querySelector("style[data-labkit-twins]");i||(i=document.createElement("style"),i.dataset.labkitTwins="",document.head.append(i)),i.textContent=[...K.keys()].map(s=>`[data-lk-twin="${s}"], .jp-OutputArea-child:has([data-lk-twin="${s}"]) { display: none; }`).join(`
`)};return K.set(t,(K.get(t)??0)+1),e(),()=>{K.set(t,K.get(t)-1),K.get(t)||K.delete(t),e()}}function xe(t){return t.comm_live===!1||t.comm?.jsServicesComm?.isDisposed===!0}function C({model:t,el:e,looks:i},s,n=()=>{}){be(e,i),e.classList.add("lk");let a=!1,l=0,p=()=>{l=0,Wt(s(a),e),n(e)},o=()=>{l||=requestAnimationFrame(p)},$=setInterval(async()=>{let m=await t.widget_manager.get_model(t.get("own"));a!==xe(m)&&(a=!a,o())},1e3);t.on("change",o);let k=ve(t.get("twin"));p();let r=()=>{cancelAnimationFrame(l),t.off("change",o),clearInterval($),k()};return r.redraw=o,r.lost=()=>a,r}var z="The kernel was restarted: this is how it was. Run the cell again to have it live.";function G(t,e,i=e){let[s,n]=t.signs[e]??t.signs.unknown;return d`<span class="lk-state" data-state=${e} style="color: var(--lk-${n})"><span class="lk-sign" aria-hidden="true">${s}</span> ${i}</span>`}function R(t,e){let[i,s,n]=t.engines[e];return d`<span class="lk-chip" style="background: ${s}; color: ${n}">${i}</span>`}function E(t){return t==null?d`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`:d`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100*t)} aria-label="progress"><div style="width: ${100*t}%"></div></span>`}function bt([t,e],i){return d`<div class="lk-error" role="alert"><div>${t}${e?d`<br>→ ${e}`:g}</div>
    ${i?d`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${i}>✕</button>`:g}</div>`}function X(t){return t==null?"":`${(100*t).toPrecision(t>=.995?3:2).replace(/\.0+$/,"")} %`}function Ct(t,e,i,s){if(t.length<2)return g;let[n,a]=[90,18],l=Math.max(e,...t),p=t.map((o,$)=>`${(n-1-(t.length-1-$)*(n-2)/59).toFixed(1)},${(a-1-(a-2)*o/l).toFixed(1)}`).join(" ");return d`<svg width=${n} height=${a} viewBox="0 0 ${n} ${a}" role="img" aria-label=${s}>
    <line x1="0" y1=${a-.5} x2=${n} y2=${a-.5} stroke="var(--lk-line)"></line>
    <polyline points=${p} fill="none" stroke=${i} stroke-width="1.3"></polyline></svg>`}var ye={start:"boot it",resume:"let its processors go on",pause:"stop its processors where they are",stop:"shut it down in an orderly way",restart:"shut it down and boot it again",kill:"switch it off, as if the power failed",run:"run a command in it",console:"open its console",snapshot:"keep its state under a name",revert:"go back to a snapshot",clone:"make a second one with the same disk",resize:"change memory or processors",limits:"limit its processor time",stats:"show its counters",attach:"connect it to a network",detach:"take it from a network",link:"change its link to a network",migrate:"move it to another host",destroy:"end it and remove all it had"},lt={run:[["command","command","uname -a"]],snapshot:[["name","name","snap-1"]],revert:[["name","snapshot",null]],clone:[["name","name of the clone",""]],migrate:[["to","to host",null]],resize:[["memory","memory",""],["vcpus","processors",""]],limits:[["cpus","processors (empty: no limit)","0.5"]],attach:[["network","network",null],["address","address (empty: the next one)",""]],detach:[["network","network",null]],link:[["network","network",null],["cable","cable (in or out)","in"],["bandwidth","bandwidth (empty: no limit)",""]]};function we({model:t,el:e,looks:i}){let s="",n="",a=!1,l=()=>x.redraw();function p(h){if(lt[h]||h==="destroy"){n=n===h?"":h,n&&lt[h]?.some(([,,v])=>v===null)&&t.send({ask:"words",verb:h}),l(),n&&queueMicrotask(()=>requestAnimationFrame(()=>e.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));return}if(h==="stats"){a=!a,l();return}o(h,{})}function o(h,v){s=h==="console"?"":h,n="",t.send({ask:"verb",verb:h,words:v}),l()}function $(h,v,w){let L=v.doing&&(s===h||v.doing.split(" ")[0]===h),T=w||!v.fit.includes(h)&&h!=="console"||!!v.ended,j=w?"the kernel was restarted":v.doing?`it is busy: ${v.doing}`:`not while it is ${v.state}`;return d`<button class=${h==="destroy"?"lk-danger":""} aria-disabled=${T?"true":"false"} ?data-busy=${L}
      title=${T?j:ye[h]} data-verb=${h}
      aria-expanded=${lt[h]||h==="destroy"?String(n===h):g}
      @click=${()=>T||p(h)}>${h}${L?" …":""}</button>`}function k(h){if(!n)return g;if(n==="destroy")return d`<div class="lk-ask" role="group" aria-label="destroy ${h}?">Destroy ${h} and all it has?
        <button class="lk-danger" @click=${()=>o("destroy",{})}>Destroy</button>
        <button @click=${()=>{n="",l()}}>Keep it</button></div>`;let v=t.get("asking"),w=v.verb===n?v.names:[];return d`<form class="lk-ask" @submit=${T=>{T.preventDefault(),o(n,Object.fromEntries(new FormData(T.target)))}} @keydown=${T=>{T.key==="Escape"&&(n="",l()),T.stopPropagation()}}>
      ${lt[n].map(([T,j,D])=>d`<label>${j}
        ${D===null?d`<select name=${T}>${w.map(H=>d`<option>${H}</option>`)}</select>`:d`<input type="text" name=${T} value=${D} autocomplete="off" spellcheck="false">`}</label>`)}
      ${lt[n][0][2]===null&&!w.length?d`<span class="lk-dim">there is none</span>`:d`<button type="submit">${n}</button>`}
      <button type="button" @click=${()=>{n="",l()}}>cancel</button></form>`}function r(h,v){return!v.length||h.cpu===null?g:d`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${X(h.cpu)}
        ${Ct(v.map(([w])=>w),1,"var(--lk-busy)",`processor use, now ${X(h.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${h.memory}
        ${Ct(v.map(([,w])=>w),1,"var(--lk-paused)",`memory held, now ${h.memory}`)}</span></dd>`}function m(h){let v=t.get("fixed"),w=t.get("now"),L=t.get("usage"),T=t.get("result");w.doing||(s="");let j=Object.entries(v.absent),D=j.map(([H,B])=>`${H}: ${B}`).join(`
`);return d`<div class="lk-box" role="group" aria-label="machine ${v.name}, ${w.ended||w.state}">
      <div class="lk-head">${R(i,v.engine)}<span class="lk-name">${v.name}</span>
        <span class="lk-dim">on ${w.host}</span>
        <span class="lk-right" aria-live="polite">${w.ended?d`<span class="lk-dim">${w.ended}</span>`:G(i,w.state)}</span></div>
      <dl class="lk-facts">
        ${v.facts.map(([H,B])=>d`<dt>${H}</dt><dd>${B}</dd>`)}
        ${w.networks.map(([H,B,wt,Q])=>d`<dt>${H}</dt><dd>${B} <span class="lk-dim">(${wt})${Q==="up"?"":d` · ${Q}`}</span></dd>`)}
        ${a||!w.ended?r(w,L):g}
      </dl>
      ${w.ended?g:d`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${v.name}">
        ${v.verbs.filter(H=>H!=="stats").map(H=>$(H,w,h))}
        ${j.length?d`<span class="lk-absent" tabindex="0" role="note" title=${D} aria-label="not possible here: ${D}">not here: ${j.map(([H])=>H).join(", ")}</span>`:g}</div>`}
      ${w.doing?d`<div class="lk-doing" role="status">${E(w.fraction)} ${w.doing}${w.fraction===null?"":` ${Math.round(100*w.fraction)} %`}
        ${w.can_cancel?d`<button aria-disabled=${String(h)} title="take it back: the machine goes on where it was"
          @click=${()=>h||t.send({ask:"cancel"})}>Cancel</button>`:g}</div>`:g}
      ${w.ended||h?g:k(v.name)}
      ${w.error.length?bt(w.error,h?null:()=>t.send({ask:"dismiss"})):g}
      ${T.command?d`<div class="lk-dim" style="margin-top: 6px"><code>${T.command}</code>
        ${T.exit_code?d`· ${G(i,"failed",`exit code ${T.exit_code}`)}`:g}
        <button class="lk-plain" aria-label="dismiss the output" @click=${()=>t.send({ask:"dismiss"})}>✕</button></div><pre>${T.text}</pre>`:g}
      ${h?d`<div class="lk-dim" style="margin-top: 6px">${z}</div>`:g}
      <div class="lk-slot"></div>
    </div>`}let u=ct(t,e,"terminal"),x=C({model:t,el:e,looks:i},m,u);return x}function ct(t,e,i){let s="";return async()=>{let n=t.get(i);if(n===s)return;s=n;let a=e.querySelector(".lk-slot");if(a.replaceChildren(),a.style.marginTop=n?"10px":"0",!n)return;let l=await t.widget_manager.get_model(n),p=await t.widget_manager.create_view(l);if(s!==n)return;let o=p.luminoWidget?.node??p.el;a.append(o)}}function Ae({model:t,el:e,looks:i}){let s=(o,$)=>t.send({ask:"change",name:o,value:$});function n(o,$,k){let r=t.get("values")[o.name],m=t.get("errors")[o.name],u={id:$,wrong:m?"true":"false",about:`${$}-about`};return o.kind==="check"?d`<input type="checkbox" id=${$} .checked=${r} ?disabled=${k} aria-describedby=${u.about} @change=${x=>s(o.name,x.target.checked)}>`:o.kind==="many"?o.choices.length?d`<span role="group" id=${$}>${o.choices.map(x=>d`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${r.includes(x)} ?disabled=${k}
          @change=${h=>s(o.name,h.target.checked?[...r,x]:r.filter(v=>v!==x))}> ${x}</label>`)}</span>`:d`<span class="lk-dim" id=${$}>there are none yet</span>`:d`<input type="text" id=${$} .value=${String(r)} ?disabled=${k} autocomplete="off" spellcheck="false"
      inputmode=${o.kind==="number"?"numeric":g} aria-invalid=${u.wrong} aria-describedby=${u.about}
      @input=${x=>s(o.name,x.target.value)}>`}let a=`lk${Math.random().toString(36).slice(2)}`,l=ct(t,e,"card");return C({model:t,el:e,looks:i},o=>{let $=t.get("errors"),k=t.get("busy"),r=o||!!k||Object.keys($).length>0;return d`<form class="lk-box" @submit=${u=>{u.preventDefault(),r||t.send({ask:"create"})}} @keydown=${u=>u.stopPropagation()} aria-label=${t.get("title")}>
      <div class="lk-head">${R(i,t.get("engine_kind"))}<span class="lk-name">${t.get("title")}</span></div>
      <div class="lk-fields">${t.get("fields").map(u=>d`<label for="${a}-${u.name}">${u.label}</label>
        ${n(u,`${a}-${u.name}`,o||!!k)}
        <span id="${a}-${u.name}-about" class=${$[u.name]?"lk-wrong":"lk-help"}>${$[u.name]?`✖ ${$[u.name]}`:u.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${t.get("code")||"(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${r?"true":"false"}>Create</button>
        ${k?d`<span class="lk-doing" role="status" style="margin: 0">${E(null)} ${k}</span>`:g}</div>
      ${t.get("failed").length?bt(t.get("failed")):g}
      ${o?d`<div class="lk-dim">${z}</div>`:g}
      <div class="lk-slot"></div></form>`},l)}var vt={ATTRIBUTE:1,CHILD:2,PROPERTY:3,BOOLEAN_ATTRIBUTE:4,EVENT:5,ELEMENT:6},xt=t=>(...e)=>({_$litDirective$:t,values:e}),et=class{constructor(e){}get _$AU(){return this._$AM._$AU}_$AT(e,i,s){this._$Ct=e,this._$AM=i,this._$Ci=s}_$AS(e,i){return this.update(e,i)}update(e,i){return this.render(...i)}};var dt=class extends et{constructor(e){if(super(e),this.it=g,e.type!==vt.CHILD)throw Error(this.constructor.directiveName+"() can only be used in child bindings")}render(e){if(e===g||e==null)return this._t=void 0,this.it=e;if(e===P)return e;if(typeof e!="string")throw Error(this.constructor.directiveName+"() called with a non-string value");if(e===this.it)return this._t;this.it=e;let i=[e];return i.raw=i,this._t={_$litType$:this.constructor.resultType,strings:i,values:[]}}};dt.directiveName="unsafeHTML",dt.resultType=1;var Lt=xt(dt);function _e({model:t,el:e,looks:i}){let s=!1,n=0;function a(k){s||k||(s=!0,t.send({ask:"cancel"}),o.redraw())}function l(k,r){if(k.done)return g;let m=r||s||k.late,u=r?"the kernel was restarted":k.late?"it runs at the destination already":"take it back: the machine goes on where it was";return d`<div class="lk-doing" role="status">${E(k.fraction)} <span>${k.doing}</span>
      <button aria-disabled=${String(!!m)} title=${u} @click=${()=>a(m)}>${s?"cancelling …":k.late?"too late to cancel":"Cancel"}</button></div>`}function p(k){let{name:r,engine:m,source:u,destination:x}=t.get("fixed"),h=t.get("now"),[v,w,L]=h.end;return d`<div class="lk-box lk-move" role="group" aria-label="migration of ${r}, ${L}">
      <div class="lk-head">${R(i,m)}<span class="lk-name">${r}</span><span class="lk-dim">${u} → ${x}</span>
        <span class="lk-right" aria-live="polite" style="color: var(--lk-${w})"><span aria-hidden="true">${v}</span> ${L}</span></div>
      ${l(h,k)}
      <div class="lk-picture">${Lt(t.get("picture"))}</div>
      ${Lt(t.get("outcome"))}
      ${k&&!h.done?d`<div class="lk-dim" style="margin-top: 6px">${z}</div>`:g}</div>`}let o=C({model:t,el:e,looks:i},p),$=new ResizeObserver(([{contentRect:{width:k}}])=>{o.lost()||k<50||Math.abs(k-n)<10||(n=k,t.send({ask:"width",across:k}))});return $.observe(e.querySelector(".lk-picture")),()=>{$.disconnect(),o()}}var Me={start:"M3 1.5v9l7-4.5z",resume:"M3 1.5v9l7-4.5z",pause:"M3 2h2v8H3zM7 2h2v8H7z",stop:"M2.5 2.5h7v7h-7z",restart:"M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",kill:"M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",destroy:"M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z"},Te=t=>d`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${Me[t]}></path></svg>`,Se=[["name","machine"],["state","state"],["cpu","processor"],["memory","memory"],["addresses","addresses"]],He={B:1,KiB:1024,MiB:1024**2,GiB:1024**3,TiB:1024**4};function Ce(t,e){if(e==="cpu")return t.cpu??-1;if(e==="memory"){let[i,s]=t.memory.split(" ");return Number(i||-1)*(He[s]??1)}return e==="addresses"?t.addresses.map(i=>i.split(".").map(s=>s.padStart(3,"0")).join(".")).join():t[e].replace(/\d+/g,i=>i.padStart(6,"0"))}function Le(t,[e,i]){let s=t.map(n=>[Ce(n,e),n]);return s.sort(([n],[a])=>n<a?-1:n>a?1:0),i&&s.reverse(),s.map(([,n])=>n)}function Kt(t,e,i,s,n,a){let l=(r,m)=>t.send({ask:"verb",host:r.host,name:r.name,verb:m});function p(r,m,u){if(!r.verbs.includes(m))return g;let x=u||!r.fit.includes(m),h=s.sure===`${r.host}/${r.name}`;if(m==="destroy"&&h)return d`<button class="lk-danger" @click=${()=>{s.sure="",l(r,m),n()}}>destroy ${r.name}?</button>
        <button @click=${()=>{s.sure="",n()}}>keep</button>`;let v=()=>{x||(m==="destroy"?s.sure=`${r.host}/${r.name}`:l(r,m),n())};return d`<button aria-disabled=${x?"true":"false"} data-verb=${m} aria-label="${m} ${r.name}" title=${m} @click=${v}>${Te(m)}</button>`}function o(r,m){let u=r.verbs.includes("resume")&&r.state==="paused"?"resume":"pause",x=r.fit.includes("start")||r.state==="stopped"?"start":"stop";return d`<tr class="lk-row" data-machine=${r.name}><td>${R(i,r.engine)} ${r.name}</td>
      <td>${r.doing?G(i,"starting",`${r.doing}${r.fraction===null?"":` ${Math.round(100*r.fraction)} %`}`):G(i,r.state)}
        ${r.error.length?d`<span tabindex="0" role="note" title=${r.error.join(`
→ `)} aria-label="last error: ${r.error.join(". ")}">${G(i,"failed","error")}</span>`:g}</td>
      <td class="lk-number">${X(r.cpu)}</td><td class="lk-number">${r.memory}</td>
      <td class="lk-addresses">${r.addresses.join(", ")}</td>
      <td class="lk-acts">${[u,x,"restart","kill","destroy"].map(h=>p(r,h,m))}</td></tr>`}function $(){return d`<thead><tr>${Se.map(([r,m])=>{let u=s.sort[0]===r;return d`<th scope="col" aria-sort=${u?s.sort[1]?"descending":"ascending":"none"}>
        <button @click=${()=>{s.sort=[r,u&&!s.sort[1]],n()}} title="sort by ${m}">${m} ${u?s.sort[1]?"▾":"▴":""}</button></th>`})}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`}function k(r,m,u){let x=!s.closed.has(r.name),h=()=>{x?s.closed.add(r.name):s.closed.delete(r.name),n()};return d`<tbody>${a?g:d`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(x)} aria-label="machines of ${r.name}" @click=${h}>${x?"▾":"▸"}</button>
        <b>${r.name}</b> <span class="lk-dim">${r.address} · ${r.ended?"has ended":r.count===1?"1 machine":`${r.count} machines`}${r.count?`, ${r.running} running`:""}</span></th>
        <td class="lk-number lk-dim">${X(r.cpu)}</td><td class="lk-number lk-dim">${r.memory}</td><td colspan="2"></td></tr>`}
      ${x||a?Le(m.filter(v=>v.host===r.name),s.sort).map(v=>o(v,u)):g}</tbody>`}return r=>{let m=t.get("rows");return d`<div class="lk-scroll"><table aria-label="machines of ${t.get("title")}">${$()}
      ${t.get("hosts").map(u=>k(u,m,r))}</table></div>`}}function Gt(t,e){let i=t.get("ended");return i||e?d`<div class="lk-dim" style="margin-top: 6px">${i||z}</div>`:g}function Ne({model:t,el:e,looks:i}){let n=Kt(t,e,i,{sort:["name",!1],closed:new Set,sure:""},()=>a.redraw(),!1),a=C({model:t,el:e,looks:i},l=>d`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">lab</span></div>
    ${t.get("ended")?g:n(l)}
    ${t.get("networks").length&&!t.get("ended")?d`<div class="lk-dim" style="margin-top: 4px">networks: ${t.get("networks").map(([p,o,$,k])=>d`<span title=${k} style="margin-right: 14px">${p} ${$} (${o})</span>`)}</div>`:g}
    ${Gt(t,l)}</div>`);return a}function ze({model:t,el:e,looks:i}){let n=Kt(t,e,i,{sort:["name",!1],closed:new Set,sure:""},()=>a.redraw(),!0),a=C({model:t,el:e,looks:i},l=>{let[p]=t.get("hosts");return d`<div class="lk-box" role="group" aria-label="host ${p.name}">
      <div class="lk-head"><span class="lk-name">${p.name}</span><span class="lk-dim">host, ${p.provider}</span>
        <span class="lk-right lk-dim">${p.address}</span></div>
      <dl class="lk-facts">${t.get("facts").map(([o,$])=>d`<dt>${o}</dt><dd>${$}</dd>`)}
        <dt>machines</dt><dd>${p.count}${p.count?`, ${p.running} running`:""}${p.cpu===null?"":`, using ${X(p.cpu)} of a processor and ${p.memory}`}</dd></dl>
      ${p.count&&!t.get("ended")?d`<div style="margin-top: 8px">${n(l)}</div>`:g}
      ${Gt(t,l)}</div>`});return a}var{I:je}=Ft,Xt=t=>t;var Qt=()=>document.createComment(""),nt=(t,e,i)=>{let s=t._$AA.parentNode,n=e===void 0?t._$AB:e._$AA;if(i===void 0){let a=s.insertBefore(Qt(),n),l=s.insertBefore(Qt(),n);i=new je(a,l,t,t.options)}else{let a=i._$AB.nextSibling,l=i._$AM,p=l!==t;if(p){let o;i._$AQ?.(t),i._$AM=t,i._$AP!==void 0&&(o=t._$AU)!==l._$AU&&i._$AP(o)}if(a!==n||p){let o=i._$AA;for(;o!==a;){let $=Xt(o).nextSibling;Xt(s).insertBefore(o,n),o=$}}}return i},I=(t,e,i=t)=>(t._$AI(e,i),t),Oe={},Zt=(t,e=Oe)=>t._$AH=e,Jt=t=>t._$AH,yt=t=>{t._$AR(),t._$AA.remove()};var te=(t,e,i)=>{let s=new Map;for(let n=e;n<=i;n++)s.set(t[n],n);return s},pt=xt(class extends et{constructor(t){if(super(t),t.type!==vt.CHILD)throw Error("repeat() can only be used in text expressions")}dt(t,e,i){let s;i===void 0?i=e:e!==void 0&&(s=e);let n=[],a=[],l=0;for(let p of t)n[l]=s?s(p,l):l,a[l]=i(p,l),l++;return{values:a,keys:n}}render(t,e,i){return this.dt(t,e,i).values}update(t,[e,i,s]){let n=Jt(t),{values:a,keys:l}=this.dt(e,i,s);if(!Array.isArray(n))return this.ut=l,a;let p=this.ut??=[],o=[],$,k,r=0,m=n.length-1,u=0,x=a.length-1;for(;r<=m&&u<=x;)if(n[r]===null)r++;else if(n[m]===null)m--;else if(p[r]===l[u])o[u]=I(n[r],a[u]),r++,u++;else if(p[m]===l[x])o[x]=I(n[m],a[x]),m--,x--;else if(p[r]===l[x])o[x]=I(n[r],a[x]),nt(t,o[x+1],n[r]),r++,x--;else if(p[m]===l[u])o[u]=I(n[m],a[u]),nt(t,n[r],n[m]),m--,u++;else if($===void 0&&($=te(l,u,x),k=te(p,r,m)),$.has(p[r]))if($.has(p[m])){let h=k.get(l[u]),v=h!==void 0?n[h]:null;if(v===null){let w=nt(t,n[r]);I(w,a[u]),o[u]=w}else o[u]=I(v,a[u]),nt(t,n[r],v),n[h]=null;u++}else yt(n[m]),m--;else yt(n[r]),r++;for(;u<=x;){let h=nt(t,o[x+1]);I(h,a[u]),o[u++]=h}for(;r<=m;){let h=n[r++];h!==null&&yt(h)}return this.ut=l,Zt(t,o),P}});var[re,ae,Pe,ee,Re,Nt]=[15,12,7,12,28,8],Ee={width:312,height:26},ne={ArrowLeft:[-1,0],ArrowRight:[1,0],ArrowUp:[0,-1],ArrowDown:[0,1]},ut=([t,e],{width:i,height:s})=>({left:t-i/2,top:e-s/2,right:t+i/2,bottom:e+s/2}),oe=t=>({left:Math.min(...t.map(e=>e.left)),top:Math.min(...t.map(e=>e.top)),right:Math.max(...t.map(e=>e.right)),bottom:Math.max(...t.map(e=>e.bottom))}),le=(t,e,i,s)=>({left:t.left-e,top:t.top-i,right:t.right+e,bottom:t.bottom+s});function ie(t,e,i){let s=t.inside.filter(n=>i[n]).map(n=>ut(i[n],e.get(n)));return le(oe(s.length?s:[ut(i[t.id],Ee)]),ee,Re,ee)}function Ie(t,e,i){let s=new Set(e.networks.filter(l=>l.own).map(l=>l.id)),n=e.links.filter(l=>l.machine===t.id&&!s.has(l.network)).map(l=>l.network),a=n.length?n:e.networks.filter(l=>!l.own).map(l=>l.id);return!a.length||i[t.id][0]<=a.reduce((l,p)=>l+i[p][0],0)/a.length}function De(t,e,i){let s=t.links.map(n=>{let a=e.get(n.machine),[l,p]=i[n.machine],o=i[n.network][0]>=l?1:-1,$=n.row<0?p:p-a.height/2+ae+re*n.row;return{link:n,side:o,x:l+o*a.width/2,y:$}});for(let n of t.networks)for(let a of[-1,1]){let l=s.filter(o=>o.link.network===n.id&&o.side===a);l.sort((o,$)=>o.y-$.y);let p=Math.min(Pe,(n.height-12)/Math.max(1,l.length-1));l.forEach((o,$)=>{o.toX=i[n.id][0]-a*n.width/2,o.toY=i[n.id][1]+p*($-(l.length-1)/2)})}return s}function se({x:t,y:e,toX:i,toY:s,side:n}){let a=n*Math.max(24,Math.abs(i-t)/2);return`M${t} ${e}C${t+a} ${e} ${i-a} ${s} ${i} ${s}`}function Be({model:t,el:e,looks:i}){let s=null,n=null,a="",l=[],p="",o=()=>it.redraw(),$=c=>new Map([...c.machines,...c.networks].map(b=>[b.id,b]));function k(c,b){let f=`${t.get("arranged")} ${c.machines.map(y=>y.id).sort().join(" ")}`;if(f!==p){let y=new Map(c.hosts.flatMap((A,S)=>A.inside.map(M=>[M,S])));l=c.machines.map(A=>A.id),l.sort((A,S)=>y.get(A)-y.get(S)||b[A][1]-b[S][1]),p=f}return[...c.machines].sort((y,A)=>l.indexOf(y.id)-l.indexOf(A.id))}function r(){let c=t.get("places");if(!n?.ids.length||!n.moved)return c;let b={...c};for(let f of n.ids)c[f]&&(b[f]=[c[f][0]+n.by[0],c[f][1]+n.by[1]]);return b}function m(c,b,f){let y=[...c.networks.map(_=>ut(f[_.id],_)),...c.hosts.map(_=>ie(_,b,f))],{left:A,top:S,right:M,bottom:N}=le(y.length?oe(y):{left:0,top:0,right:300,bottom:40},Nt,Nt,Nt);return[A,S,M-A,N-S]}function u(c){let b=new DOMPoint(c.clientX,c.clientY).matrixTransform(e.querySelector(".lk-topo").getScreenCTM().inverse());return[b.x,b.y]}function x(c,b){let f={...t.get("places")},y={};for(let A of c)f[A]&&(y[A]=f[A]=[Math.round(f[A][0]+b[0]),Math.round(f[A][1]+b[1])]);t.set("places",f),t.send({ask:"move",places:y}),o()}function h(c,b){let[f,y,A,S]=w(),[M,N]=b??[f+A/2,y+S/2],_=Math.min(8,Math.max(.1,c*(A/v[2])))/(A/v[2]);s=[M-(M-f)*_,N-(N-y)*_,A*_,S*_],o()}let v=[0,0,300,40],w=()=>s??v,L=c=>it.lost()||t.send({ask:"open",machine:c});function T(c,b,f){c.button!==0||n||(c.stopPropagation(),e.querySelector(".lk-topo").setPointerCapture(c.pointerId),n={ids:it.lost()?[]:b,id:f,from:u(c),by:[0,0],at:[c.clientX,c.clientY],moved:!1,view:w(),pan:!b.length})}function j(c){if(!n||!n.moved&&Math.hypot(c.clientX-n.at[0],c.clientY-n.at[1])<4)return;n.moved=!0;let[b,f]=u(c);if(n.pan){let[y,A,S,M]=w();s=[y+n.from[0]-b,A+n.from[1]-f,S,M]}else n.by=[b-n.from[0],f-n.from[1]];o()}function D(){if(!n)return;let{ids:c,id:b,by:f,moved:y}=n;n=null,y&&c.length?x(c,f):!y&&b&&L(b),o()}function H(){n=null,o()}function B(c){!c.ctrlKey&&!c.metaKey||(c.preventDefault(),h(Math.exp(Math.sign(c.deltaY)*.15),u(c)))}function wt(c,b){if(c.key==="Enter"||c.key===" ")L(b);else if(ne[c.key]&&!it.lost())x([b],ne[c.key].map(f=>10*f));else return;c.preventDefault(),c.stopPropagation()}let Q=c=>c.machine===a||c.network===a,Z=c=>{a=n?a:c,o()};function ce(c,b,f){let{left:y,top:A,right:S,bottom:M}=ie(c,b,f);return tt`<g class="lk-t-grip" data-host=${c.id} @pointerdown=${N=>T(N,c.inside.length?c.inside:[c.id],"")}>
      <title>${c.title}</title>
      <rect class="lk-t-region" x=${y} y=${A} width=${S-y} height=${M-A} rx="8" stroke-dasharray=${c.ended?"6 4":g}></rect>
      <text class="lk-t-ink" x=${y+12} y=${A+19} font-size="13" font-weight="600">${c.name}<tspan class="lk-t-${c.ended?"failed":"dim"}" dx="10" font-size="10.5" font-weight="400">${c.ended?`${i.signs.failed[0]} `:""}${c.words}</tspan></text></g>`}function de(c,b){let{link:f}=c;return tt`<g class=${b&&!Q(f)?"lk-t-faint":""} data-link="${f.machine} ${f.network}" data-up=${String(f.up)}><title>${f.title}</title>
      <path class=${f.up?`lk-t-net${f.colour}`:"lk-t-down"} d=${se(c)} fill="none" stroke-width=${Q(f)?2.6:1.4}
        stroke-dasharray=${f.up?g:"4 4"}></path><path class="lk-t-wide" d=${se(c)}></path></g>`}function pe(c,b){let[f,y]=b[c.id],{left:A,top:S}=ut([f,y],c);return tt`<g class="lk-t-grip" data-network=${c.id} role="img" aria-label=${c.title} @pointerenter=${()=>Z(c.id)} @pointerleave=${()=>Z("")}
      @pointerdown=${M=>T(M,[c.id],"")}><title>${c.title}</title>
      <rect class="lk-t-card lk-t-net${c.colour}" x=${A} y=${S} width=${c.width} height=${c.height} rx="12" stroke-width="2"></rect>
      <text class="lk-t-ink" x=${f} y=${y-3} font-size="12" font-weight="600" text-anchor="middle">${c.name}</text>
      <text class="lk-t-dim" x=${f} y=${y+12} font-size="10.5" text-anchor="middle">${c.words}</text></g>`}function ue(c,b,f){let y=ut(f[c.id],c),A=Ie(c,b,f),S=y.left+(A?4:100),M=y.top+ae,[N,_,$e]=c.engine,zt=t.get("selected")===c.id;return tt`<g class="lk-t-machine" data-machine=${c.id} data-state=${c.state} tabindex="0" role="button" aria-label=${c.title} aria-expanded=${String(zt)}
      @pointerenter=${()=>Z(c.id)} @pointerleave=${()=>Z("")} @focus=${()=>Z(c.id)} @blur=${()=>Z("")}
      @pointerdown=${U=>T(U,[c.id],c.id)} @keydown=${U=>wt(U,c.id)}
      @click=${U=>U.detail===0&&L(c.id)}><title>${c.title}</title>
      <rect class="lk-t-card ${zt?"lk-t-chosen":""}" x=${y.left} y=${y.top} width=${c.width} height=${c.height} rx="4"></rect>
      <rect x=${S} y=${M-7.5} width="42" height="15" rx="3" fill=${_}></rect>
      <text x=${S+21} y=${M+3.5} font-size="9.5" font-weight="600" text-anchor="middle" fill=${$e}>${N}</text>
      <text class="lk-t-${c.colour}" x=${S+54} y=${M+4} font-size="10" text-anchor="middle" aria-hidden="true">${c.sign}</text>
      <text class="lk-t-ink" x=${S+66} y=${M+4} font-size="12">${c.name}</text>
      <text class="lk-t-${c.colour}" x=${y.right-(A?100:6)} y=${M+4} font-size="10.5" text-anchor="end">${c.word}</text>
      ${c.rows.map((U,ge)=>tt`<text class="lk-t-dim" x=${A?y.right-6:y.left+6} y=${M+4+re*ge} font-size="10.5" text-anchor=${A?"end":"start"}>${U}</text>`)}</g>`}function he(c){let b=t.get("seen"),f=r(),y=$(b);if([...y.keys(),...b.hosts.map(_=>_.id)].some(_=>!f[_]))return d``;n||(v=m(b,y,f));let[,,A,S]=v,M=t.get("ended"),N=b.links.some(Q);return d`<div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">topology</span>
        <span class="lk-right" role="toolbar" aria-label="view of the picture">
          <button aria-label="nearer" title="nearer (Ctrl and the wheel, too)" @click=${()=>h(1/1.25)}>+</button>
          <button aria-label="farther" title="farther" @click=${()=>h(1.25)}>−</button>
          <button title="show all of it" @click=${()=>{s=null,o()}}>fit</button>
          <button aria-disabled=${String(c||!!M)} title="lay everything out anew" @click=${()=>{!c&&!M&&(s=null,t.send({ask:"arrange"}))}}>arrange</button></span></div>
      <svg class="lk-topo" data-lm-suppress-shortcuts="true" role="group" aria-label="topology of ${b.title}" viewBox=${w().join(" ")}
        style="aspect-ratio: ${A} / ${S}; max-width: ${Math.round(1.2*A)}px" ?data-held=${!!n?.moved}
        @pointerdown=${_=>T(_,[],"")} @pointermove=${j} @pointerup=${D} @pointercancel=${H} @wheel=${B}>
        ${pt(b.hosts,_=>_.id,_=>ce(_,y,f))}
        ${pt(De(b,y,f),({link:_})=>`${_.machine} ${_.network}`,_=>de(_,N))}
        ${pt(b.networks,_=>_.id,_=>pe(_,f))}
        ${pt(k(b,f),_=>_.id,_=>ue(_,b,f))}</svg>
      ${t.get("note")?d`<div class="lk-dim">${t.get("note")}</div>`:g}
      ${M||c?d`<div class="lk-dim" role="status">${M||z}</div>`:g}
      ${t.get("card")?d`<div class="lk-topo-card">${y.get(t.get("selected"))?.name??""}
        <button class="lk-plain" aria-label="close the card" title="close the card" @click=${()=>L("")}>✕</button></div>`:g}
      <div class="lk-slot"></div>`}let it=C({model:t,el:e,looks:i},he,ct(t,e,"card"));return it}function yn({model:t,el:e,looks:i}){let s=performance.now()-1e3*t.get("elapsed_s"),n=!1,a=C({model:t,el:e,looks:i},p=>{let o=t.get("ended")||(p?"the kernel was restarted":""),$=(performance.now()-s)/1e3;return o?(clearInterval(l),d`<div class="lk-dim"><b>${t.get("title")}</b>: ${o}</div>`):d`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${t.get("title")}</b> ${E(t.get("fraction"))} <span>${t.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${$.toFixed(0)} s</span>
      <button aria-disabled=${String(n)} @click=${()=>{n||(n=!0,t.send({ask:"cancel"}),a.redraw())}}>${n?"cancelling …":"Cancel"}</button></div>`}),l=setInterval(()=>a.redraw(),1e3);return()=>{clearInterval(l),a()}}function wn({model:t,el:e,looks:i}){let s=!1,n=!1,a="",l=null,p=C({model:t,el:e,looks:i},k=>{let r=t.get("picture");r!==l&&r?.byteLength&&(URL.revokeObjectURL(a),a=URL.createObjectURL(new Blob([r],{type:"image/png"})),l=r);let[m,u]=t.get("size");return d`<div class="lk-screen" ?data-large=${s}><div class="lk-dim">${t.get("title")}</div>
      ${a?d`<button aria-label="${s?"smaller":"larger"}: ${t.get("title")}" aria-pressed=${String(s)}
        @click=${()=>{s=!s,p.redraw()}}><img src=${a} alt="what the screen shows, ${m} by ${u} pixels"></button>`:g}
      ${t.get("note")||k?d`<div class="lk-dim">${t.get("note")||"the kernel was restarted"}</div>`:g}</div>`}),o=new IntersectionObserver(([k])=>{n=k.isIntersecting});o.observe(e);let $=setInterval(()=>{n&&!document.hidden&&!p.lost()&&t.send({ask:"picture"})},2e3);return()=>{clearInterval($),o.disconnect(),URL.revokeObjectURL(a),p()}}export{we as card,Ae as form,ze as host,_e as migration,yn as progress,wn as screen,Ne as table,Be as topology};
