var tt=globalThis,it=e=>e,W=tt.trustedTypes,rt=W?W.createPolicy("lit-html",{createHTML:e=>e}):void 0,ut="$lit$",w=`lit$${Math.random().toFixed(9).slice(2)}$`,ht="?"+w,xt=`<${ht}>`,S=document,U=()=>S.createComment(""),R=e=>e===null||typeof e!="object"&&typeof e!="function",et=Array.isArray,yt=e=>et(e)||typeof e?.[Symbol.iterator]=="function",G=`[ 	
\f\r]`,E=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,ot=/-->/g,lt=/>/g,A=RegExp(`>|${G}(?:([^\\s"'>=/]+)(${G}*=${G}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),dt=/'/g,ct=/"/g,gt=/^(?:script|style|textarea|title)$/i,nt=e=>(t,...a)=>({_$litType$:e,strings:t,values:a}),l=nt(1),Rt=nt(2),Pt=nt(3),P=Symbol.for("lit-noChange"),c=Symbol.for("lit-nothing"),pt=new WeakMap,H=S.createTreeWalker(S,129);function mt(e,t){if(!et(e)||!e.hasOwnProperty("raw"))throw Error("invalid template strings array");return rt!==void 0?rt.createHTML(t):t}var wt=(e,t)=>{let a=e.length-1,s=[],n,r=t===2?"<svg>":t===3?"<math>":"",d=E;for(let h=0;h<a;h++){let o=e[h],p,m,i=-1,$=0;for(;$<o.length&&(d.lastIndex=$,m=d.exec(o),m!==null);)$=d.lastIndex,d===E?m[1]==="!--"?d=ot:m[1]!==void 0?d=lt:m[2]!==void 0?(gt.test(m[2])&&(n=RegExp("</"+m[2],"g")),d=A):m[3]!==void 0&&(d=A):d===A?m[0]===">"?(d=n??E,i=-1):m[1]===void 0?i=-2:(i=d.lastIndex-m[2].length,p=m[1],d=m[3]===void 0?A:m[3]==='"'?ct:dt):d===ct||d===dt?d=A:d===ot||d===lt?d=E:(d=A,n=void 0);let g=d===A&&e[h+1].startsWith("/>")?" ":"";r+=d===E?o+xt:i>=0?(s.push(p),o.slice(0,i)+ut+o.slice(i)+w+g):o+w+(i===-2?h:g)}return[mt(e,r+(e[a]||"<?>")+(t===2?"</svg>":t===3?"</math>":"")),s]},D=class e{constructor({strings:t,_$litType$:a},s){let n;this.parts=[];let r=0,d=0,h=t.length-1,o=this.parts,[p,m]=wt(t,a);if(this.el=e.createElement(p,s),H.currentNode=this.el.content,a===2||a===3){let i=this.el.content.firstChild;i.replaceWith(...i.childNodes)}for(;(n=H.nextNode())!==null&&o.length<h;){if(n.nodeType===1){if(n.hasAttributes())for(let i of n.getAttributeNames())if(i.endsWith(ut)){let $=m[d++],g=n.getAttribute(i).split(w),b=/([.?@])?(.*)/.exec($);o.push({type:1,index:r,name:b[2],strings:g,ctor:b[1]==="."?J:b[1]==="?"?Q:b[1]==="@"?X:N}),n.removeAttribute(i)}else i.startsWith(w)&&(o.push({type:6,index:r}),n.removeAttribute(i));if(gt.test(n.tagName)){let i=n.textContent.split(w),$=i.length-1;if($>0){n.textContent=W?W.emptyScript:"";for(let g=0;g<$;g++)n.append(i[g],U()),H.nextNode(),o.push({type:2,index:++r});n.append(i[$],U())}}}else if(n.nodeType===8)if(n.data===ht)o.push({type:2,index:r});else{let i=-1;for(;(i=n.data.indexOf(w,i+1))!==-1;)o.push({type:7,index:r}),i+=w.length-1}r++}}static createElement(t,a){let s=S.createElement("template");return s.innerHTML=t,s}};function j(e,t,a=e,s){if(t===P)return t;let n=s!==void 0?a._$Co?.[s]:a._$Cl,r=R(t)?void 0:t._$litDirective$;return n?.constructor!==r&&(n?._$AO?.(!1),r===void 0?n=void 0:(n=new r(e),n._$AT(e,a,s)),s!==void 0?(a._$Co??=[])[s]=n:a._$Cl=n),n!==void 0&&(t=j(e,n._$AS(e,t.values),n,s)),t}var Z=class{constructor(t,a){this._$AV=[],this._$AN=void 0,this._$AD=t,this._$AM=a}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(t){let{el:{content:a},parts:s}=this._$AD,n=(t?.creationScope??S).importNode(a,!0);H.currentNode=n;let r=H.nextNode(),d=0,h=0,o=s[0];for(;o!==void 0;){if(d===o.index){let p;o.type===2?p=new F(r,r.nextSibling,this,t):o.type===1?p=new o.ctor(r,o.name,o.strings,this,t):o.type===6&&(p=new Y(r,this,t)),this._$AV.push(p),o=s[++h]}d!==o?.index&&(r=H.nextNode(),d++)}return H.currentNode=S,n}p(t){let a=0;for(let s of this._$AV)s!==void 0&&(s.strings!==void 0?(s._$AI(t,s,a),a+=s.strings.length-2):s._$AI(t[a])),a++}},F=class e{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(t,a,s,n){this.type=2,this._$AH=c,this._$AN=void 0,this._$AA=t,this._$AB=a,this._$AM=s,this.options=n,this._$Cv=n?.isConnected??!0}get parentNode(){let t=this._$AA.parentNode,a=this._$AM;return a!==void 0&&t?.nodeType===11&&(t=a.parentNode),t}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(t,a=this){t=j(this,t,a),R(t)?t===c||t==null||t===""?(this._$AH!==c&&this._$AR(),this._$AH=c):t!==this._$AH&&t!==P&&this._(t):t._$litType$!==void 0?this.$(t):t.nodeType!==void 0?this.T(t):yt(t)?this.k(t):this._(t)}O(t){return this._$AA.parentNode.insertBefore(t,this._$AB)}T(t){this._$AH!==t&&(this._$AR(),this._$AH=this.O(t))}_(t){this._$AH!==c&&R(this._$AH)?this._$AA.nextSibling.data=t:this.T(S.createTextNode(t)),this._$AH=t}$(t){let{values:a,_$litType$:s}=t,n=typeof s=="number"?this._$AC(t):(s.el===void 0&&(s.el=D.createElement(mt(s.h,s.h[0]),this.options)),s);if(this._$AH?._$AD===n)this._$AH.p(a);else{let r=new Z(n,this),d=r.u(this.options);r.p(a),this.T(d),this._$AH=r}}_$AC(t){let a=pt.get(t.strings);return a===void 0&&pt.set(t.strings,a=new D(t)),a}k(t){et(this._$AH)||(this._$AH=[],this._$AR());let a=this._$AH,s,n=0;for(let r of t)n===a.length?a.push(s=new e(this.O(U()),this.O(U()),this,this.options)):s=a[n],s._$AI(r),n++;n<a.length&&(this._$AR(s&&s._$AB.nextSibling,n),a.length=n)}_$AR(t=this._$AA.nextSibling,a){for(this._$AP?.(!1,!0,a);t!==this._$AB;){let s=it(t).nextSibling;it(t).remove(),t=s}}setConnected(t){this._$AM===void 0&&(this._$Cv=t,this._$AP?.(t))}},N=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(t,a,s,n,r){this.type=1,this._$AH=c,this._$AN=void 0,this.element=t,this.name=a,this._$AM=n,this.options=r,s.length>2||s[0]!==""||s[1]!==""?(this._$AH=Array(s.length-1).fill(new String),this.strings=s):this._$AH=c}_$AI(t,a=this,s,n){let r=this.strings,d=!1;if(r===void 0)t=j(this,t,a,0),d=!R(t)||t!==this._$AH&&t!==P,d&&(this._$AH=t);else{let h=t,o,p;for(t=r[0],o=0;o<r.length-1;o++)p=j(this,h[s+o],a,o),p===P&&(p=this._$AH[o]),d||=!R(p)||p!==this._$AH[o],p===c?t=c:t!==c&&(t+=(p??"")+r[o+1]),this._$AH[o]=p}d&&!n&&this.j(t)}j(t){t===c?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,t??"")}},J=class extends N{constructor(){super(...arguments),this.type=3}j(t){this.element[this.name]=t===c?void 0:t}},Q=class extends N{constructor(){super(...arguments),this.type=4}j(t){this.element.toggleAttribute(this.name,!!t&&t!==c)}},X=class extends N{constructor(t,a,s,n,r){super(t,a,s,n,r),this.type=5}_$AI(t,a=this){if((t=j(this,t,a,0)??c)===P)return;let s=this._$AH,n=t===c&&s!==c||t.capture!==s.capture||t.once!==s.once||t.passive!==s.passive,r=t!==c&&(s===c||n);n&&this.element.removeEventListener(this.name,this,s),r&&this.element.addEventListener(this.name,this,t),this._$AH=t}handleEvent(t){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,t):this._$AH.handleEvent(t)}},Y=class{constructor(t,a,s){this.element=t,this.type=6,this._$AN=void 0,this._$AM=a,this.options=s}get _$AU(){return this._$AM._$AU}_$AI(t){j(this,t)}};var _t=tt.litHtmlPolyfillSupport;_t?.(D,F),(tt.litHtmlVersions??=[]).push("3.3.3");var $t=(e,t,a)=>{let s=a?.renderBefore??t,n=s._$litPart$;if(n===void 0){let r=a?.renderBefore??null;s._$litPart$=n=new F(t.insertBefore(U(),r),r,void 0,a??{})}return n._$AI(e),n};var kt=`.lk {
  --lk-text: var(--jp-ui-font-color1, #212121);
  --lk-dim: var(--jp-ui-font-color2, #616161);
  --lk-line: var(--jp-border-color2, #e0e0e0);
  --lk-back: var(--jp-layout-color1, #fff);
  --lk-soft: var(--jp-layout-color2, #f3f3f3);
  --lk-focus: var(--jp-brand-color1, #1976d2);
  --lk-running: #1b7a34; --lk-paused: #9a5700; --lk-busy: #0067a3; --lk-failed: #b3261e;
  font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  font-size: 13px; line-height: 1.5; color: var(--lk-text); max-width: 100%; text-align: left;
}
body[data-jp-theme-light="false"] .lk, .vscode-dark .lk {
  --lk-running: #5fd07f; --lk-paused: #f0b35a; --lk-busy: #6cb9ee; --lk-failed: #ff8a80;
  --lk-dim: #b4b4b4;
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
.lk-state[data-state="running"] { color: var(--lk-running); }
.lk-state[data-state="paused"] { color: var(--lk-paused); }
.lk-state[data-state="starting"], .lk-state[data-state="moving"] { color: var(--lk-busy); }
.lk-state[data-state="failed"] { color: var(--lk-failed); }
.lk-state[data-state="stopped"], .lk-state[data-state="unknown"] { color: var(--lk-dim); }
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
.lk button.lk-main { background: var(--lk-focus); color: #fff; border-color: var(--lk-focus); }
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
.lk-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) { .lk-bar > div { background: Highlight; } }
`;function Ht(e){let t=e.getRootNode(),a=t instanceof ShadowRoot?t:document.head;if(!a.querySelector("style[data-labkit]")){let s=document.createElement("style");s.dataset.labkit="",s.textContent=kt,a.append(s)}}var M=new Map;function St(e){if(!e)return()=>{};let t=()=>{let a=document.head.querySelector("style[data-labkit-twins]");a||(a=document.createElement("style"),a.dataset.labkitTwins="",document.head.append(a)),a.textContent=[...M.keys()].map(s=>`[data-lk-twin="${s}"], .jp-OutputArea-child:has([data-lk-twin="${s}"]) { display: none; }`).join(`
`)};return M.set(e,(M.get(e)??0)+1),t(),()=>{M.set(e,M.get(e)-1),M.get(e)||M.delete(e),t()}}function y(e,t,a,s=()=>{}){Ht(t),t.classList.add("lk");let n=!1,r=0,d=()=>{r=0,$t(a(n),t),s(t)},h=()=>{r||=requestAnimationFrame(d)},o=()=>{n=!!t.closest(".jupyter-widgets-disconnected"),h()};e.on("change",h),e.on("comm_live_update",o);let p=St(e.get("twin"));d();let m=()=>{cancelAnimationFrame(r),e.off("change",h),e.off("comm_live_update",o),p()};return m.redraw=h,m}var z="The kernel was restarted: this is how it was. Run the cell again to have it live.";function V(e,t){let[a]=e.signs[t]??e.signs.unknown;return l`<span class="lk-state" data-state=${t}><span class="lk-sign" aria-hidden="true">${a}</span> ${t}</span>`}function Mt(e){let[t,a,s]=[1,3,5].map(n=>parseInt(e.slice(n,n+2),16)/255).map(n=>n<=.04045?n/12.92:((n+.055)/1.055)**2.4);return .2126*t+.7152*a+.0722*s>.179?"#000":"#fff"}function C(e,t){let[a,s]=e.engines[t]??[t,"#616161"];return l`<span class="lk-chip" style="background: ${s}; color: ${Mt(s)}">${a}</span>`}function L(e){return e==null?l`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`:l`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100*e)} aria-label="progress"><div style="width: ${100*e}%"></div></span>`}function K([e,t],a){return l`<div class="lk-error" role="alert"><div>${e}${t?l`<br>→ ${t}`:c}</div>
    ${a?l`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${a}>✕</button>`:c}</div>`}function T(e){return e==null?"":`${(100*e).toPrecision(e>=.995?3:2).replace(/\.0+$/,"")} %`}function st(e,t,a,s){if(e.length<2)return c;let[n,r]=[90,18],d=Math.max(t,...e),h=e.map((o,p)=>`${(n-1-(e.length-1-p)*(n-2)/59).toFixed(1)},${(r-1-(r-2)*o/d).toFixed(1)}`).join(" ");return l`<svg width=${n} height=${r} viewBox="0 0 ${n} ${r}" role="img" aria-label=${s}>
    <line x1="0" y1=${r-.5} x2=${n} y2=${r-.5} stroke="var(--lk-line)"></line>
    <polyline points=${h} fill="none" stroke=${a} stroke-width="1.3"></polyline></svg>`}var Tt={start:"boot it",resume:"let its processors go on",pause:"stop its processors where they are",stop:"shut it down in an orderly way",restart:"shut it down and boot it again",kill:"switch it off, as if the power failed",run:"run a command in it",console:"open its console",snapshot:"keep its state under a name",revert:"go back to a snapshot",clone:"make a second one with the same disk",resize:"change memory or processors",limits:"limit its processor time",stats:"show its counters",migrate:"move it to another host",destroy:"end it and remove all it had"},q={run:[["command","command","uname -a"]],snapshot:[["name","name","snap-1"]],revert:[["name","snapshot",null]],clone:[["name","name of the clone",""]],migrate:[["to","to host",null]],resize:[["memory","memory",""],["vcpus","processors",""]],limits:[["cpus","processors (empty: no limit)","0.5"]]};function jt({model:e,el:t,looks:a}){let s="",n="",r=!1,d=()=>b.redraw();function h(u){if(q[u]||u==="destroy"){n=n===u?"":u,n&&q[u]?.some(([,,k])=>k===null)&&e.send({ask:"words",verb:u}),d(),n&&queueMicrotask(()=>requestAnimationFrame(()=>t.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));return}if(u==="stats"){r=!r,d();return}o(u,{})}function o(u,k){s=u==="console"?"":u,n="",e.send({ask:"verb",verb:u,words:k}),d()}function p(u,k,f){let I=k.doing&&(s===u||k.doing.split(" ")[0]===u),v=f||!k.fit.includes(u)&&u!=="console"||!!k.ended,_=f?"the kernel was restarted":k.doing?`it is busy: ${k.doing}`:`not while it is ${k.state}`;return l`<button class=${u==="destroy"?"lk-danger":""} aria-disabled=${v?"true":"false"} ?data-busy=${I}
      title=${v?_:Tt[u]} data-verb=${u}
      aria-expanded=${q[u]||u==="destroy"?String(n===u):c}
      @click=${()=>v||h(u)}>${u}${I?" …":""}</button>`}function m(u){if(!n)return c;if(n==="destroy")return l`<div class="lk-ask" role="group" aria-label="destroy ${u}?">Destroy ${u} and all it has?
        <button class="lk-danger" @click=${()=>o("destroy",{})}>Destroy</button>
        <button @click=${()=>{n="",d()}}>Keep it</button></div>`;let k=e.get("asking"),f=k.verb===n?k.names:[];return l`<form class="lk-ask" @submit=${v=>{v.preventDefault(),o(n,Object.fromEntries(new FormData(v.target)))}} @keydown=${v=>{v.key==="Escape"&&(n="",d()),v.stopPropagation()}}>
      ${q[n].map(([v,_,O])=>l`<label>${_}
        ${O===null?l`<select name=${v}>${f.map(x=>l`<option>${x}</option>`)}</select>`:l`<input type="text" name=${v} value=${O} autocomplete="off" spellcheck="false">`}</label>`)}
      ${q[n][0][2]===null&&!f.length?l`<span class="lk-dim">there is none</span>`:l`<button type="submit">${n}</button>`}
      <button type="button" @click=${()=>{n="",d()}}>cancel</button></form>`}function i(u,k){return!k.length||u.cpu===null?c:l`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${T(u.cpu)}
        ${st(k.map(([f])=>f),1,"var(--lk-busy)",`processor use, now ${T(u.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${u.memory}
        ${st(k.map(([,f])=>f),1,"var(--lk-paused)",`memory held, now ${u.memory}`)}</span></dd>`}function $(u){let k=e.get("fixed"),f=e.get("now"),I=e.get("usage"),v=e.get("result");f.doing||(s="");let _=Object.entries(k.absent),O=_.map(([x,B])=>`${x}: ${B}`).join(`
`);return l`<div class="lk-box" role="group" aria-label="machine ${k.name}, ${f.ended||f.state}">
      <div class="lk-head">${C(a,k.engine)}<span class="lk-name">${k.name}</span>
        <span class="lk-dim">on ${f.host}</span>
        <span class="lk-right" aria-live="polite">${f.ended?l`<span class="lk-dim">${f.ended}</span>`:V(a,f.state)}</span></div>
      <dl class="lk-facts">
        ${k.facts.map(([x,B])=>l`<dt>${x}</dt><dd>${B}</dd>`)}
        ${k.networks.map(([x,B,vt])=>l`<dt>${x}</dt><dd>${B} <span class="lk-dim">(${vt})</span></dd>`)}
        ${r||!f.ended?i(f,I):c}
      </dl>
      ${f.ended?c:l`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${k.name}">
        ${k.verbs.filter(x=>x!=="stats").map(x=>p(x,f,u))}
        ${_.length?l`<span class="lk-absent" tabindex="0" role="note" title=${O} aria-label="not possible here: ${O}">not here: ${_.map(([x])=>x).join(", ")}</span>`:c}</div>`}
      ${f.doing?l`<div class="lk-doing" role="status">${L(f.fraction)} ${f.doing}${f.fraction===null?"":` ${Math.round(100*f.fraction)} %`}</div>`:c}
      ${f.ended||u?c:m(k.name)}
      ${f.error.length?K(f.error,u?null:()=>e.send({ask:"dismiss"})):c}
      ${v.command?l`<div class="lk-dim" style="margin-top: 6px"><code>${v.command}</code>
        ${v.exit_code?l`· <span class="lk-state" data-state="failed">exit code ${v.exit_code}</span>`:c}
        <button class="lk-plain" aria-label="dismiss the output" @click=${()=>e.send({ask:"dismiss"})}>✕</button></div><pre>${v.text}</pre>`:c}
      ${u?l`<div class="lk-dim" style="margin-top: 6px">${z}</div>`:c}
      <div class="lk-slot"></div>
    </div>`}let g=at(e,t,"terminal"),b=y(e,t,$,g);return b}function at(e,t,a){let s="";return async()=>{let n=e.get(a);if(n===s)return;s=n;let r=t.querySelector(".lk-slot");if(r.replaceChildren(),r.style.marginTop=n?"10px":"0",!n)return;let d=await e.widget_manager.get_model(n),h=await e.widget_manager.create_view(d);if(s!==n)return;let o=h.luminoWidget?.node??h.el;r.append(o)}}function Nt({model:e,el:t,looks:a}){let s=(o,p)=>e.send({ask:"change",name:o,value:p});function n(o,p,m){let i=e.get("values")[o.name],$=e.get("errors")[o.name],g={id:p,wrong:$?"true":"false",about:`${p}-about`};return o.kind==="check"?l`<input type="checkbox" id=${p} .checked=${i} ?disabled=${m} aria-describedby=${g.about} @change=${b=>s(o.name,b.target.checked)}>`:o.kind==="many"?o.choices.length?l`<span role="group" id=${p}>${o.choices.map(b=>l`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${i.includes(b)} ?disabled=${m}
          @change=${u=>s(o.name,u.target.checked?[...i,b]:i.filter(k=>k!==b))}> ${b}</label>`)}</span>`:l`<span class="lk-dim" id=${p}>there are none yet</span>`:l`<input type="text" id=${p} .value=${String(i)} ?disabled=${m} autocomplete="off" spellcheck="false"
      inputmode=${o.kind==="number"?"numeric":c} aria-invalid=${g.wrong} aria-describedby=${g.about}
      @input=${b=>s(o.name,b.target.value)}>`}let r=`lk${Math.random().toString(36).slice(2)}`,d=at(e,t,"card");return y(e,t,o=>{let p=e.get("errors"),m=e.get("busy"),i=o||!!m||Object.keys(p).length>0;return l`<form class="lk-box" @submit=${g=>{g.preventDefault(),i||e.send({ask:"create"})}} @keydown=${g=>g.stopPropagation()} aria-label=${e.get("title")}>
      <div class="lk-head">${C(a,e.get("engine_kind"))}<span class="lk-name">${e.get("title")}</span></div>
      <div class="lk-fields">${e.get("fields").map(g=>l`<label for="${r}-${g.name}">${g.label}</label>
        ${n(g,`${r}-${g.name}`,o||!!m)}
        <span id="${r}-${g.name}-about" class=${p[g.name]?"lk-wrong":"lk-help"}>${p[g.name]?`✖ ${p[g.name]}`:g.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${e.get("code")||"(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${i?"true":"false"}>Create</button>
        ${m?l`<span class="lk-doing" role="status" style="margin: 0">${L(null)} ${m}</span>`:c}</div>
      ${e.get("failed").length?K(e.get("failed")):c}
      ${o?l`<div class="lk-dim">${z}</div>`:c}
      <div class="lk-slot"></div></form>`},d)}var zt={start:"M3 1.5v9l7-4.5z",resume:"M3 1.5v9l7-4.5z",pause:"M3 2h2v8H3zM7 2h2v8H7z",stop:"M2.5 2.5h7v7h-7z",restart:"M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",kill:"M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",destroy:"M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z"},Ct=e=>l`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${zt[e]}></path></svg>`,Lt=[["name","machine"],["state","state"],["cpu","processor"],["memory","memory"],["addresses","addresses"]],It={B:1,KiB:1024,MiB:1024**2,GiB:1024**3,TiB:1024**4};function Ot(e,t){if(t==="cpu")return e.cpu??-1;if(t==="memory"){let[a,s]=e.memory.split(" ");return Number(a||-1)*(It[s]??1)}return t==="addresses"?e.addresses.map(a=>a.split(".").map(s=>s.padStart(3,"0")).join(".")).join():e[t].replace(/\d+/g,a=>a.padStart(6,"0"))}function Bt(e,[t,a]){let s=e.map(n=>[Ot(n,t),n]);return s.sort(([n],[r])=>n<r?-1:n>r?1:0),a&&s.reverse(),s.map(([,n])=>n)}function ft(e,t,a,s,n,r){let d=(i,$)=>e.send({ask:"verb",host:i.host,name:i.name,verb:$});function h(i,$,g){if(!i.verbs.includes($))return c;let b=g||!i.fit.includes($),u=s.sure===`${i.host}/${i.name}`;if($==="destroy"&&u)return l`<button class="lk-danger" @click=${()=>{s.sure="",d(i,$),n()}}>destroy ${i.name}?</button>
        <button @click=${()=>{s.sure="",n()}}>keep</button>`;let k=()=>{b||($==="destroy"?s.sure=`${i.host}/${i.name}`:d(i,$),n())};return l`<button aria-disabled=${b?"true":"false"} data-verb=${$} aria-label="${$} ${i.name}" title=${$} @click=${k}>${Ct($)}</button>`}function o(i,$){let g=i.verbs.includes("resume")&&i.state==="paused"?"resume":"pause",b=i.fit.includes("start")||i.state==="stopped"?"start":"stop";return l`<tr class="lk-row" data-machine=${i.name}><td>${C(a,i.engine)} ${i.name}</td>
      <td>${i.doing?l`<span class="lk-state" data-state="starting"><span class="lk-sign" aria-hidden="true">◌</span> ${i.doing}${i.fraction===null?"":` ${Math.round(100*i.fraction)} %`}</span>`:V(a,i.state)}
        ${i.error.length?l`<span class="lk-state" data-state="failed" tabindex="0" role="note" title=${i.error.join(`
→ `)} aria-label="last error: ${i.error.join(". ")}">✖ error</span>`:c}</td>
      <td class="lk-number">${T(i.cpu)}</td><td class="lk-number">${i.memory}</td>
      <td class="lk-addresses">${i.addresses.join(", ")}</td>
      <td class="lk-acts">${[g,b,"restart","kill","destroy"].map(u=>h(i,u,$))}</td></tr>`}function p(){return l`<thead><tr>${Lt.map(([i,$])=>{let g=s.sort[0]===i;return l`<th scope="col" aria-sort=${g?s.sort[1]?"descending":"ascending":"none"}>
        <button @click=${()=>{s.sort=[i,g&&!s.sort[1]],n()}} title="sort by ${$}">${$} ${g?s.sort[1]?"▾":"▴":""}</button></th>`})}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`}function m(i,$,g){let b=!s.closed.has(i.name),u=()=>{b?s.closed.add(i.name):s.closed.delete(i.name),n()};return l`<tbody>${r?c:l`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(b)} aria-label="machines of ${i.name}" @click=${u}>${b?"▾":"▸"}</button>
        <b>${i.name}</b> <span class="lk-dim">${i.address} · ${i.count===1?"1 machine":`${i.count} machines`}${i.count?`, ${i.running} running`:""}</span></th>
        <td class="lk-number lk-dim">${T(i.cpu)}</td><td class="lk-number lk-dim">${i.memory}</td><td colspan="2"></td></tr>`}
      ${b||r?Bt($.filter(k=>k.host===i.name),s.sort).map(k=>o(k,g)):c}</tbody>`}return i=>{let $=e.get("rows");return l`<div class="lk-scroll"><table aria-label="machines of ${e.get("title")}">${p()}
      ${e.get("hosts").map(g=>m(g,$,i))}</table></div>`}}function bt(e,t){let a=e.get("ended");return a||t?l`<div class="lk-dim" style="margin-top: 6px">${a||z}</div>`:c}function Et({model:e,el:t,looks:a}){let n=ft(e,t,a,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!1),r=y(e,t,d=>l`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${e.get("title")}</span><span class="lk-dim">lab</span></div>
    ${e.get("ended")?c:n(d)}
    ${e.get("networks").length&&!e.get("ended")?l`<div class="lk-dim" style="margin-top: 4px">networks: ${e.get("networks").map(([h,o,p,m])=>l`<span title="DHCP and DNS on ${m}" style="margin-right: 14px">${h} ${p} (${o})</span>`)}</div>`:c}
    ${bt(e,d)}</div>`);return r}function Ut({model:e,el:t,looks:a}){let n=ft(e,t,a,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!0),r=y(e,t,d=>{let[h]=e.get("hosts");return l`<div class="lk-box" role="group" aria-label="host ${h.name}">
      <div class="lk-head"><span class="lk-name">${h.name}</span><span class="lk-dim">host, ${h.provider}</span>
        <span class="lk-right lk-dim">${h.address}</span></div>
      <dl class="lk-facts">${e.get("facts").map(([o,p])=>l`<dt>${o}</dt><dd>${p}</dd>`)}
        <dt>machines</dt><dd>${h.count}${h.count?`, ${h.running} running`:""}${h.cpu===null?"":`, using ${T(h.cpu)} of a processor and ${h.memory}`}</dd></dl>
      ${h.count&&!e.get("ended")?l`<div style="margin-top: 8px">${n(d)}</div>`:c}
      ${bt(e,d)}</div>`});return r}function ee({model:e,el:t}){let a=performance.now()-1e3*e.get("elapsed_s"),s=!1,n=y(e,t,d=>{let h=e.get("ended")||(d?"the kernel was restarted":""),o=(performance.now()-a)/1e3;return h?(clearInterval(r),l`<div class="lk-dim"><b>${e.get("title")}</b>: ${h}</div>`):l`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${e.get("title")}</b> ${L(e.get("fraction"))} <span>${e.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${o.toFixed(0)} s</span>
      <button aria-disabled=${String(s)} @click=${()=>{s||(s=!0,e.send({ask:"cancel"}),n.redraw())}}>${s?"cancelling …":"Cancel"}</button></div>`}),r=setInterval(()=>n.redraw(),1e3);return()=>{clearInterval(r),n()}}function ne({model:e,el:t}){let a=!1,s=!1,n="",r=null,d=y(e,t,p=>{let m=e.get("picture");m!==r&&m?.byteLength&&(URL.revokeObjectURL(n),n=URL.createObjectURL(new Blob([m],{type:"image/png"})),r=m);let[i,$]=e.get("size");return l`<div class="lk-screen" ?data-large=${a}><div class="lk-dim">${e.get("title")}</div>
      ${n?l`<button aria-label="${a?"smaller":"larger"}: ${e.get("title")}" aria-pressed=${String(a)}
        @click=${()=>{a=!a,d.redraw()}}><img src=${n} alt="what the screen shows, ${i} by ${$} pixels"></button>`:c}
      ${e.get("note")||p?l`<div class="lk-dim">${e.get("note")||"the kernel was restarted"}</div>`:c}</div>`}),h=new IntersectionObserver(([p])=>{s=p.isIntersecting});h.observe(t);let o=setInterval(()=>{s&&!document.hidden&&!t.closest(".jupyter-widgets-disconnected")&&e.send({ask:"picture"})},2e3);return()=>{clearInterval(o),h.disconnect(),URL.revokeObjectURL(n),d()}}export{jt as card,Nt as form,Ut as host,ee as progress,ne as screen,Et as table};
