var tt=globalThis,at=e=>e,V=tt.trustedTypes,rt=V?V.createPolicy("lit-html",{createHTML:e=>e}):void 0,ut="$lit$",w=`lit$${Math.random().toFixed(9).slice(2)}$`,ht="?"+w,xt=`<${ht}>`,S=document,R=()=>S.createComment(""),D=e=>e===null||typeof e!="object"&&typeof e!="function",et=Array.isArray,yt=e=>et(e)||typeof e?.[Symbol.iterator]=="function",G=`[ 	
\f\r]`,U=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,ot=/-->/g,lt=/>/g,A=RegExp(`>|${G}(?:([^\\s"'>=/]+)(${G}*=${G}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),dt=/'/g,ct=/"/g,$t=/^(?:script|style|textarea|title)$/i,nt=e=>(t,...i)=>({_$litType$:e,strings:t,values:i}),d=nt(1),Rt=nt(2),Dt=nt(3),P=Symbol.for("lit-noChange"),c=Symbol.for("lit-nothing"),pt=new WeakMap,H=S.createTreeWalker(S,129);function gt(e,t){if(!et(e)||!e.hasOwnProperty("raw"))throw Error("invalid template strings array");return rt!==void 0?rt.createHTML(t):t}var wt=(e,t)=>{let i=e.length-1,s=[],n,r=t===2?"<svg>":t===3?"<math>":"",l=U;for(let h=0;h<i;h++){let o=e[h],p,m,a=-1,g=0;for(;g<o.length&&(l.lastIndex=g,m=l.exec(o),m!==null);)g=l.lastIndex,l===U?m[1]==="!--"?l=ot:m[1]!==void 0?l=lt:m[2]!==void 0?($t.test(m[2])&&(n=RegExp("</"+m[2],"g")),l=A):m[3]!==void 0&&(l=A):l===A?m[0]===">"?(l=n??U,a=-1):m[1]===void 0?a=-2:(a=l.lastIndex-m[2].length,p=m[1],l=m[3]===void 0?A:m[3]==='"'?ct:dt):l===ct||l===dt?l=A:l===ot||l===lt?l=U:(l=A,n=void 0);let $=l===A&&e[h+1].startsWith("/>")?" ":"";r+=l===U?o+xt:a>=0?(s.push(p),o.slice(0,a)+ut+o.slice(a)+w+$):o+w+(a===-2?h:$)}return[gt(e,r+(e[i]||"<?>")+(t===2?"</svg>":t===3?"</math>":"")),s]},F=class e{constructor({strings:t,_$litType$:i},s){let n;this.parts=[];let r=0,l=0,h=t.length-1,o=this.parts,[p,m]=wt(t,i);if(this.el=e.createElement(p,s),H.currentNode=this.el.content,i===2||i===3){let a=this.el.content.firstChild;a.replaceWith(...a.childNodes)}for(;(n=H.nextNode())!==null&&o.length<h;){if(n.nodeType===1){if(n.hasAttributes())for(let a of n.getAttributeNames())if(a.endsWith(ut)){let g=m[l++],$=n.getAttribute(a).split(w),b=/([.?@])?(.*)/.exec(g);o.push({type:1,index:r,name:b[2],strings:$,ctor:b[1]==="."?J:b[1]==="?"?Q:b[1]==="@"?X:z}),n.removeAttribute(a)}else a.startsWith(w)&&(o.push({type:6,index:r}),n.removeAttribute(a));if($t.test(n.tagName)){let a=n.textContent.split(w),g=a.length-1;if(g>0){n.textContent=V?V.emptyScript:"";for(let $=0;$<g;$++)n.append(a[$],R()),H.nextNode(),o.push({type:2,index:++r});n.append(a[g],R())}}}else if(n.nodeType===8)if(n.data===ht)o.push({type:2,index:r});else{let a=-1;for(;(a=n.data.indexOf(w,a+1))!==-1;)o.push({type:7,index:r}),a+=w.length-1}r++}}static createElement(t,i){let s=S.createElement("template");return s.innerHTML=t,s}};function j(e,t,i=e,s){if(t===P)return t;let n=s!==void 0?i._$Co?.[s]:i._$Cl,r=D(t)?void 0:t._$litDirective$;return n?.constructor!==r&&(n?._$AO?.(!1),r===void 0?n=void 0:(n=new r(e),n._$AT(e,i,s)),s!==void 0?(i._$Co??=[])[s]=n:i._$Cl=n),n!==void 0&&(t=j(e,n._$AS(e,t.values),n,s)),t}var Z=class{constructor(t,i){this._$AV=[],this._$AN=void 0,this._$AD=t,this._$AM=i}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(t){let{el:{content:i},parts:s}=this._$AD,n=(t?.creationScope??S).importNode(i,!0);H.currentNode=n;let r=H.nextNode(),l=0,h=0,o=s[0];for(;o!==void 0;){if(l===o.index){let p;o.type===2?p=new q(r,r.nextSibling,this,t):o.type===1?p=new o.ctor(r,o.name,o.strings,this,t):o.type===6&&(p=new Y(r,this,t)),this._$AV.push(p),o=s[++h]}l!==o?.index&&(r=H.nextNode(),l++)}return H.currentNode=S,n}p(t){let i=0;for(let s of this._$AV)s!==void 0&&(s.strings!==void 0?(s._$AI(t,s,i),i+=s.strings.length-2):s._$AI(t[i])),i++}},q=class e{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(t,i,s,n){this.type=2,this._$AH=c,this._$AN=void 0,this._$AA=t,this._$AB=i,this._$AM=s,this.options=n,this._$Cv=n?.isConnected??!0}get parentNode(){let t=this._$AA.parentNode,i=this._$AM;return i!==void 0&&t?.nodeType===11&&(t=i.parentNode),t}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(t,i=this){t=j(this,t,i),D(t)?t===c||t==null||t===""?(this._$AH!==c&&this._$AR(),this._$AH=c):t!==this._$AH&&t!==P&&this._(t):t._$litType$!==void 0?this.$(t):t.nodeType!==void 0?this.T(t):yt(t)?this.k(t):this._(t)}O(t){return this._$AA.parentNode.insertBefore(t,this._$AB)}T(t){this._$AH!==t&&(this._$AR(),this._$AH=this.O(t))}_(t){this._$AH!==c&&D(this._$AH)?this._$AA.nextSibling.data=t:this.T(S.createTextNode(t)),this._$AH=t}$(t){let{values:i,_$litType$:s}=t,n=typeof s=="number"?this._$AC(t):(s.el===void 0&&(s.el=F.createElement(gt(s.h,s.h[0]),this.options)),s);if(this._$AH?._$AD===n)this._$AH.p(i);else{let r=new Z(n,this),l=r.u(this.options);r.p(i),this.T(l),this._$AH=r}}_$AC(t){let i=pt.get(t.strings);return i===void 0&&pt.set(t.strings,i=new F(t)),i}k(t){et(this._$AH)||(this._$AH=[],this._$AR());let i=this._$AH,s,n=0;for(let r of t)n===i.length?i.push(s=new e(this.O(R()),this.O(R()),this,this.options)):s=i[n],s._$AI(r),n++;n<i.length&&(this._$AR(s&&s._$AB.nextSibling,n),i.length=n)}_$AR(t=this._$AA.nextSibling,i){for(this._$AP?.(!1,!0,i);t!==this._$AB;){let s=at(t).nextSibling;at(t).remove(),t=s}}setConnected(t){this._$AM===void 0&&(this._$Cv=t,this._$AP?.(t))}},z=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(t,i,s,n,r){this.type=1,this._$AH=c,this._$AN=void 0,this.element=t,this.name=i,this._$AM=n,this.options=r,s.length>2||s[0]!==""||s[1]!==""?(this._$AH=Array(s.length-1).fill(new String),this.strings=s):this._$AH=c}_$AI(t,i=this,s,n){let r=this.strings,l=!1;if(r===void 0)t=j(this,t,i,0),l=!D(t)||t!==this._$AH&&t!==P,l&&(this._$AH=t);else{let h=t,o,p;for(t=r[0],o=0;o<r.length-1;o++)p=j(this,h[s+o],i,o),p===P&&(p=this._$AH[o]),l||=!D(p)||p!==this._$AH[o],p===c?t=c:t!==c&&(t+=(p??"")+r[o+1]),this._$AH[o]=p}l&&!n&&this.j(t)}j(t){t===c?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,t??"")}},J=class extends z{constructor(){super(...arguments),this.type=3}j(t){this.element[this.name]=t===c?void 0:t}},Q=class extends z{constructor(){super(...arguments),this.type=4}j(t){this.element.toggleAttribute(this.name,!!t&&t!==c)}},X=class extends z{constructor(t,i,s,n,r){super(t,i,s,n,r),this.type=5}_$AI(t,i=this){if((t=j(this,t,i,0)??c)===P)return;let s=this._$AH,n=t===c&&s!==c||t.capture!==s.capture||t.once!==s.once||t.passive!==s.passive,r=t!==c&&(s===c||n);n&&this.element.removeEventListener(this.name,this,s),r&&this.element.addEventListener(this.name,this,t),this._$AH=t}handleEvent(t){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,t):this._$AH.handleEvent(t)}},Y=class{constructor(t,i,s){this.element=t,this.type=6,this._$AN=void 0,this._$AM=i,this.options=s}get _$AU(){return this._$AM._$AU}_$AI(t){j(this,t)}};var _t=tt.litHtmlPolyfillSupport;_t?.(F,q),(tt.litHtmlVersions??=[]).push("3.3.3");var mt=(e,t,i)=>{let s=i?.renderBefore??t,n=s._$litPart$;if(n===void 0){let r=i?.renderBefore??null;s._$litPart$=n=new q(t.insertBefore(R(),r),r,void 0,i??{})}return n._$AI(e),n};var kt=`.lk {
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
.lk-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) { .lk-bar > div { background: Highlight; } }
`;function Ht(e,t){let i=e.getRootNode(),s=i instanceof ShadowRoot?i:document.head;if(!s.querySelector("style[data-labkit]")){let n=document.createElement("style");n.dataset.labkit="",n.textContent=`${t.palette}
${kt}`,s.append(n)}}var T=globalThis.labkitTwins??=new Map;function St(e){if(!e)return()=>{};let t=()=>{let i=document.head.querySelector("style[data-labkit-twins]");i||(i=document.createElement("style"),i.dataset.labkitTwins="",document.head.append(i)),i.textContent=[...T.keys()].map(s=>`[data-lk-twin="${s}"], .jp-OutputArea-child:has([data-lk-twin="${s}"]) { display: none; }`).join(`
`)};return T.set(e,(T.get(e)??0)+1),t(),()=>{T.set(e,T.get(e)-1),T.get(e)||T.delete(e),t()}}function Tt(e){return e.comm_live===!1||e.comm?.jsServicesComm?.isDisposed===!0}function y({model:e,el:t,looks:i},s,n=()=>{}){Ht(t,i),t.classList.add("lk");let r=!1,l=0,h=()=>{l=0,mt(s(r),t),n(t)},o=()=>{l||=requestAnimationFrame(h)},p=setInterval(async()=>{let g=await e.widget_manager.get_model(e.get("own"));r!==Tt(g)&&(r=!r,o())},1e3);e.on("change",o);let m=St(e.get("twin"));h();let a=()=>{cancelAnimationFrame(l),e.off("change",o),clearInterval(p),m()};return a.redraw=o,a.lost=()=>r,a}var C="The kernel was restarted: this is how it was. Run the cell again to have it live.";function M(e,t,i=t){let[s,n]=e.signs[t]??e.signs.unknown;return d`<span class="lk-state" data-state=${t} style="color: var(--lk-${n})"><span class="lk-sign" aria-hidden="true">${s}</span> ${i}</span>`}function L(e,t){let[i,s,n]=e.engines[t];return d`<span class="lk-chip" style="background: ${s}; color: ${n}">${i}</span>`}function I(e){return e==null?d`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`:d`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100*e)} aria-label="progress"><div style="width: ${100*e}%"></div></span>`}function K([e,t],i){return d`<div class="lk-error" role="alert"><div>${e}${t?d`<br>→ ${t}`:c}</div>
    ${i?d`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${i}>✕</button>`:c}</div>`}function N(e){return e==null?"":`${(100*e).toPrecision(e>=.995?3:2).replace(/\.0+$/,"")} %`}function st(e,t,i,s){if(e.length<2)return c;let[n,r]=[90,18],l=Math.max(t,...e),h=e.map((o,p)=>`${(n-1-(e.length-1-p)*(n-2)/59).toFixed(1)},${(r-1-(r-2)*o/l).toFixed(1)}`).join(" ");return d`<svg width=${n} height=${r} viewBox="0 0 ${n} ${r}" role="img" aria-label=${s}>
    <line x1="0" y1=${r-.5} x2=${n} y2=${r-.5} stroke="var(--lk-line)"></line>
    <polyline points=${h} fill="none" stroke=${i} stroke-width="1.3"></polyline></svg>`}var Mt={start:"boot it",resume:"let its processors go on",pause:"stop its processors where they are",stop:"shut it down in an orderly way",restart:"shut it down and boot it again",kill:"switch it off, as if the power failed",run:"run a command in it",console:"open its console",snapshot:"keep its state under a name",revert:"go back to a snapshot",clone:"make a second one with the same disk",resize:"change memory or processors",limits:"limit its processor time",stats:"show its counters",migrate:"move it to another host",destroy:"end it and remove all it had"},W={run:[["command","command","uname -a"]],snapshot:[["name","name","snap-1"]],revert:[["name","snapshot",null]],clone:[["name","name of the clone",""]],migrate:[["to","to host",null]],resize:[["memory","memory",""],["vcpus","processors",""]],limits:[["cpus","processors (empty: no limit)","0.5"]]};function Nt({model:e,el:t,looks:i}){let s="",n="",r=!1,l=()=>b.redraw();function h(u){if(W[u]||u==="destroy"){n=n===u?"":u,n&&W[u]?.some(([,,k])=>k===null)&&e.send({ask:"words",verb:u}),l(),n&&queueMicrotask(()=>requestAnimationFrame(()=>t.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));return}if(u==="stats"){r=!r,l();return}o(u,{})}function o(u,k){s=u==="console"?"":u,n="",e.send({ask:"verb",verb:u,words:k}),l()}function p(u,k,f){let O=k.doing&&(s===u||k.doing.split(" ")[0]===u),v=f||!k.fit.includes(u)&&u!=="console"||!!k.ended,_=f?"the kernel was restarted":k.doing?`it is busy: ${k.doing}`:`not while it is ${k.state}`;return d`<button class=${u==="destroy"?"lk-danger":""} aria-disabled=${v?"true":"false"} ?data-busy=${O}
      title=${v?_:Mt[u]} data-verb=${u}
      aria-expanded=${W[u]||u==="destroy"?String(n===u):c}
      @click=${()=>v||h(u)}>${u}${O?" …":""}</button>`}function m(u){if(!n)return c;if(n==="destroy")return d`<div class="lk-ask" role="group" aria-label="destroy ${u}?">Destroy ${u} and all it has?
        <button class="lk-danger" @click=${()=>o("destroy",{})}>Destroy</button>
        <button @click=${()=>{n="",l()}}>Keep it</button></div>`;let k=e.get("asking"),f=k.verb===n?k.names:[];return d`<form class="lk-ask" @submit=${v=>{v.preventDefault(),o(n,Object.fromEntries(new FormData(v.target)))}} @keydown=${v=>{v.key==="Escape"&&(n="",l()),v.stopPropagation()}}>
      ${W[n].map(([v,_,B])=>d`<label>${_}
        ${B===null?d`<select name=${v}>${f.map(x=>d`<option>${x}</option>`)}</select>`:d`<input type="text" name=${v} value=${B} autocomplete="off" spellcheck="false">`}</label>`)}
      ${W[n][0][2]===null&&!f.length?d`<span class="lk-dim">there is none</span>`:d`<button type="submit">${n}</button>`}
      <button type="button" @click=${()=>{n="",l()}}>cancel</button></form>`}function a(u,k){return!k.length||u.cpu===null?c:d`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${N(u.cpu)}
        ${st(k.map(([f])=>f),1,"var(--lk-busy)",`processor use, now ${N(u.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${u.memory}
        ${st(k.map(([,f])=>f),1,"var(--lk-paused)",`memory held, now ${u.memory}`)}</span></dd>`}function g(u){let k=e.get("fixed"),f=e.get("now"),O=e.get("usage"),v=e.get("result");f.doing||(s="");let _=Object.entries(k.absent),B=_.map(([x,E])=>`${x}: ${E}`).join(`
`);return d`<div class="lk-box" role="group" aria-label="machine ${k.name}, ${f.ended||f.state}">
      <div class="lk-head">${L(i,k.engine)}<span class="lk-name">${k.name}</span>
        <span class="lk-dim">on ${f.host}</span>
        <span class="lk-right" aria-live="polite">${f.ended?d`<span class="lk-dim">${f.ended}</span>`:M(i,f.state)}</span></div>
      <dl class="lk-facts">
        ${k.facts.map(([x,E])=>d`<dt>${x}</dt><dd>${E}</dd>`)}
        ${k.networks.map(([x,E,vt])=>d`<dt>${x}</dt><dd>${E} <span class="lk-dim">(${vt})</span></dd>`)}
        ${r||!f.ended?a(f,O):c}
      </dl>
      ${f.ended?c:d`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${k.name}">
        ${k.verbs.filter(x=>x!=="stats").map(x=>p(x,f,u))}
        ${_.length?d`<span class="lk-absent" tabindex="0" role="note" title=${B} aria-label="not possible here: ${B}">not here: ${_.map(([x])=>x).join(", ")}</span>`:c}</div>`}
      ${f.doing?d`<div class="lk-doing" role="status">${I(f.fraction)} ${f.doing}${f.fraction===null?"":` ${Math.round(100*f.fraction)} %`}</div>`:c}
      ${f.ended||u?c:m(k.name)}
      ${f.error.length?K(f.error,u?null:()=>e.send({ask:"dismiss"})):c}
      ${v.command?d`<div class="lk-dim" style="margin-top: 6px"><code>${v.command}</code>
        ${v.exit_code?d`· ${M(i,"failed",`exit code ${v.exit_code}`)}`:c}
        <button class="lk-plain" aria-label="dismiss the output" @click=${()=>e.send({ask:"dismiss"})}>✕</button></div><pre>${v.text}</pre>`:c}
      ${u?d`<div class="lk-dim" style="margin-top: 6px">${C}</div>`:c}
      <div class="lk-slot"></div>
    </div>`}let $=it(e,t,"terminal"),b=y({model:e,el:t,looks:i},g,$);return b}function it(e,t,i){let s="";return async()=>{let n=e.get(i);if(n===s)return;s=n;let r=t.querySelector(".lk-slot");if(r.replaceChildren(),r.style.marginTop=n?"10px":"0",!n)return;let l=await e.widget_manager.get_model(n),h=await e.widget_manager.create_view(l);if(s!==n)return;let o=h.luminoWidget?.node??h.el;r.append(o)}}function jt({model:e,el:t,looks:i}){let s=(o,p)=>e.send({ask:"change",name:o,value:p});function n(o,p,m){let a=e.get("values")[o.name],g=e.get("errors")[o.name],$={id:p,wrong:g?"true":"false",about:`${p}-about`};return o.kind==="check"?d`<input type="checkbox" id=${p} .checked=${a} ?disabled=${m} aria-describedby=${$.about} @change=${b=>s(o.name,b.target.checked)}>`:o.kind==="many"?o.choices.length?d`<span role="group" id=${p}>${o.choices.map(b=>d`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${a.includes(b)} ?disabled=${m}
          @change=${u=>s(o.name,u.target.checked?[...a,b]:a.filter(k=>k!==b))}> ${b}</label>`)}</span>`:d`<span class="lk-dim" id=${p}>there are none yet</span>`:d`<input type="text" id=${p} .value=${String(a)} ?disabled=${m} autocomplete="off" spellcheck="false"
      inputmode=${o.kind==="number"?"numeric":c} aria-invalid=${$.wrong} aria-describedby=${$.about}
      @input=${b=>s(o.name,b.target.value)}>`}let r=`lk${Math.random().toString(36).slice(2)}`,l=it(e,t,"card");return y({model:e,el:t,looks:i},o=>{let p=e.get("errors"),m=e.get("busy"),a=o||!!m||Object.keys(p).length>0;return d`<form class="lk-box" @submit=${$=>{$.preventDefault(),a||e.send({ask:"create"})}} @keydown=${$=>$.stopPropagation()} aria-label=${e.get("title")}>
      <div class="lk-head">${L(i,e.get("engine_kind"))}<span class="lk-name">${e.get("title")}</span></div>
      <div class="lk-fields">${e.get("fields").map($=>d`<label for="${r}-${$.name}">${$.label}</label>
        ${n($,`${r}-${$.name}`,o||!!m)}
        <span id="${r}-${$.name}-about" class=${p[$.name]?"lk-wrong":"lk-help"}>${p[$.name]?`✖ ${p[$.name]}`:$.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${e.get("code")||"(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${a?"true":"false"}>Create</button>
        ${m?d`<span class="lk-doing" role="status" style="margin: 0">${I(null)} ${m}</span>`:c}</div>
      ${e.get("failed").length?K(e.get("failed")):c}
      ${o?d`<div class="lk-dim">${C}</div>`:c}
      <div class="lk-slot"></div></form>`},l)}var zt={start:"M3 1.5v9l7-4.5z",resume:"M3 1.5v9l7-4.5z",pause:"M3 2h2v8H3zM7 2h2v8H7z",stop:"M2.5 2.5h7v7h-7z",restart:"M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",kill:"M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",destroy:"M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z"},Ct=e=>d`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${zt[e]}></path></svg>`,Lt=[["name","machine"],["state","state"],["cpu","processor"],["memory","memory"],["addresses","addresses"]],It={B:1,KiB:1024,MiB:1024**2,GiB:1024**3,TiB:1024**4};function Ot(e,t){if(t==="cpu")return e.cpu??-1;if(t==="memory"){let[i,s]=e.memory.split(" ");return Number(i||-1)*(It[s]??1)}return t==="addresses"?e.addresses.map(i=>i.split(".").map(s=>s.padStart(3,"0")).join(".")).join():e[t].replace(/\d+/g,i=>i.padStart(6,"0"))}function Bt(e,[t,i]){let s=e.map(n=>[Ot(n,t),n]);return s.sort(([n],[r])=>n<r?-1:n>r?1:0),i&&s.reverse(),s.map(([,n])=>n)}function ft(e,t,i,s,n,r){let l=(a,g)=>e.send({ask:"verb",host:a.host,name:a.name,verb:g});function h(a,g,$){if(!a.verbs.includes(g))return c;let b=$||!a.fit.includes(g),u=s.sure===`${a.host}/${a.name}`;if(g==="destroy"&&u)return d`<button class="lk-danger" @click=${()=>{s.sure="",l(a,g),n()}}>destroy ${a.name}?</button>
        <button @click=${()=>{s.sure="",n()}}>keep</button>`;let k=()=>{b||(g==="destroy"?s.sure=`${a.host}/${a.name}`:l(a,g),n())};return d`<button aria-disabled=${b?"true":"false"} data-verb=${g} aria-label="${g} ${a.name}" title=${g} @click=${k}>${Ct(g)}</button>`}function o(a,g){let $=a.verbs.includes("resume")&&a.state==="paused"?"resume":"pause",b=a.fit.includes("start")||a.state==="stopped"?"start":"stop";return d`<tr class="lk-row" data-machine=${a.name}><td>${L(i,a.engine)} ${a.name}</td>
      <td>${a.doing?M(i,"starting",`${a.doing}${a.fraction===null?"":` ${Math.round(100*a.fraction)} %`}`):M(i,a.state)}
        ${a.error.length?d`<span tabindex="0" role="note" title=${a.error.join(`
→ `)} aria-label="last error: ${a.error.join(". ")}">${M(i,"failed","error")}</span>`:c}</td>
      <td class="lk-number">${N(a.cpu)}</td><td class="lk-number">${a.memory}</td>
      <td class="lk-addresses">${a.addresses.join(", ")}</td>
      <td class="lk-acts">${[$,b,"restart","kill","destroy"].map(u=>h(a,u,g))}</td></tr>`}function p(){return d`<thead><tr>${Lt.map(([a,g])=>{let $=s.sort[0]===a;return d`<th scope="col" aria-sort=${$?s.sort[1]?"descending":"ascending":"none"}>
        <button @click=${()=>{s.sort=[a,$&&!s.sort[1]],n()}} title="sort by ${g}">${g} ${$?s.sort[1]?"▾":"▴":""}</button></th>`})}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`}function m(a,g,$){let b=!s.closed.has(a.name),u=()=>{b?s.closed.add(a.name):s.closed.delete(a.name),n()};return d`<tbody>${r?c:d`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(b)} aria-label="machines of ${a.name}" @click=${u}>${b?"▾":"▸"}</button>
        <b>${a.name}</b> <span class="lk-dim">${a.address} · ${a.ended?"has ended":a.count===1?"1 machine":`${a.count} machines`}${a.count?`, ${a.running} running`:""}</span></th>
        <td class="lk-number lk-dim">${N(a.cpu)}</td><td class="lk-number lk-dim">${a.memory}</td><td colspan="2"></td></tr>`}
      ${b||r?Bt(g.filter(k=>k.host===a.name),s.sort).map(k=>o(k,$)):c}</tbody>`}return a=>{let g=e.get("rows");return d`<div class="lk-scroll"><table aria-label="machines of ${e.get("title")}">${p()}
      ${e.get("hosts").map($=>m($,g,a))}</table></div>`}}function bt(e,t){let i=e.get("ended");return i||t?d`<div class="lk-dim" style="margin-top: 6px">${i||C}</div>`:c}function Et({model:e,el:t,looks:i}){let n=ft(e,t,i,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!1),r=y({model:e,el:t,looks:i},l=>d`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${e.get("title")}</span><span class="lk-dim">lab</span></div>
    ${e.get("ended")?c:n(l)}
    ${e.get("networks").length&&!e.get("ended")?d`<div class="lk-dim" style="margin-top: 4px">networks: ${e.get("networks").map(([h,o,p,m])=>d`<span title="DHCP and DNS on ${m}" style="margin-right: 14px">${h} ${p} (${o})</span>`)}</div>`:c}
    ${bt(e,l)}</div>`);return r}function Ut({model:e,el:t,looks:i}){let n=ft(e,t,i,{sort:["name",!1],closed:new Set,sure:""},()=>r.redraw(),!0),r=y({model:e,el:t,looks:i},l=>{let[h]=e.get("hosts");return d`<div class="lk-box" role="group" aria-label="host ${h.name}">
      <div class="lk-head"><span class="lk-name">${h.name}</span><span class="lk-dim">host, ${h.provider}</span>
        <span class="lk-right lk-dim">${h.address}</span></div>
      <dl class="lk-facts">${e.get("facts").map(([o,p])=>d`<dt>${o}</dt><dd>${p}</dd>`)}
        <dt>machines</dt><dd>${h.count}${h.count?`, ${h.running} running`:""}${h.cpu===null?"":`, using ${N(h.cpu)} of a processor and ${h.memory}`}</dd></dl>
      ${h.count&&!e.get("ended")?d`<div style="margin-top: 8px">${n(l)}</div>`:c}
      ${bt(e,l)}</div>`});return r}function ee({model:e,el:t,looks:i}){let s=performance.now()-1e3*e.get("elapsed_s"),n=!1,r=y({model:e,el:t,looks:i},h=>{let o=e.get("ended")||(h?"the kernel was restarted":""),p=(performance.now()-s)/1e3;return o?(clearInterval(l),d`<div class="lk-dim"><b>${e.get("title")}</b>: ${o}</div>`):d`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${e.get("title")}</b> ${I(e.get("fraction"))} <span>${e.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${p.toFixed(0)} s</span>
      <button aria-disabled=${String(n)} @click=${()=>{n||(n=!0,e.send({ask:"cancel"}),r.redraw())}}>${n?"cancelling …":"Cancel"}</button></div>`}),l=setInterval(()=>r.redraw(),1e3);return()=>{clearInterval(l),r()}}function ne({model:e,el:t,looks:i}){let s=!1,n=!1,r="",l=null,h=y({model:e,el:t,looks:i},m=>{let a=e.get("picture");a!==l&&a?.byteLength&&(URL.revokeObjectURL(r),r=URL.createObjectURL(new Blob([a],{type:"image/png"})),l=a);let[g,$]=e.get("size");return d`<div class="lk-screen" ?data-large=${s}><div class="lk-dim">${e.get("title")}</div>
      ${r?d`<button aria-label="${s?"smaller":"larger"}: ${e.get("title")}" aria-pressed=${String(s)}
        @click=${()=>{s=!s,h.redraw()}}><img src=${r} alt="what the screen shows, ${g} by ${$} pixels"></button>`:c}
      ${e.get("note")||m?d`<div class="lk-dim">${e.get("note")||"the kernel was restarted"}</div>`:c}</div>`}),o=new IntersectionObserver(([m])=>{n=m.isIntersecting});o.observe(t);let p=setInterval(()=>{n&&!document.hidden&&!h.lost()&&e.send({ask:"picture"})},2e3);return()=>{clearInterval(p),o.disconnect(),URL.revokeObjectURL(r),h()}}export{Nt as card,jt as form,Ut as host,ee as progress,ne as screen,Et as table};
