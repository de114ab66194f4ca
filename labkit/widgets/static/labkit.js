var Ct=globalThis,It=t=>t,bt=Ct.trustedTypes,Dt=bt?bt.createPolicy("lit-html",{createHTML:t=>t}):void 0,zt="$lit$",q=`lit$${Math.random().toFixed(9).slice(2)}$`,jt="?"+q,me=`<${jt}>`,tt=document,ut=()=>tt.createComment(""),ht=t=>t===null||typeof t!="object"&&typeof t!="function",Lt=Array.isArray,Yt=t=>Lt(t)||typeof t?.[Symbol.iterator]=="function",Ht=`[ 	
\f\r]`,pt=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,Ut=/-->/g,Vt=/>/g,Z=RegExp(`>|${Ht}(?:([^\\s"'>=/]+)(${Ht}*=${Ht}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),qt=/'/g,Ft=/"/g,Kt=/^(?:script|style|textarea|title)$/i,Nt=t=>(e,...i)=>({_$litType$:t,strings:e,values:i}),d=Nt(1),lt=Nt(2),Fe=Nt(3),F=Symbol.for("lit-noChange"),h=Symbol.for("lit-nothing"),Wt=new WeakMap,J=tt.createTreeWalker(tt,129);function Gt(t,e){if(!Lt(t)||!t.hasOwnProperty("raw"))throw Error("invalid template strings array");return Dt!==void 0?Dt.createHTML(e):e}var Xt=(t,e)=>{let i=t.length-1,s=[],n,a=e===2?"<svg>":e===3?"<math>":"",l=pt;for(let p=0;p<i;p++){let o=t[p],k,m,r=-1,g=0;for(;g<o.length&&(l.lastIndex=g,m=l.exec(o),m!==null);)g=l.lastIndex,l===pt?m[1]==="!--"?l=Ut:m[1]!==void 0?l=Vt:m[2]!==void 0?(Kt.test(m[2])&&(n=RegExp("</"+m[2],"g")),l=Z):m[3]!==void 0&&(l=Z):l===Z?m[0]===">"?(l=n??pt,r=-1):m[1]===void 0?r=-2:(r=l.lastIndex-m[2].length,k=m[1],l=m[3]===void 0?Z:m[3]==='"'?Ft:qt):l===Ft||l===qt?l=Z:l===Ut||l===Vt?l=pt:(l=Z,n=void 0);let u=l===Z&&t[p+1].startsWith("/>")?" ":"";a+=l===pt?o+me:r>=0?(s.push(k),o.slice(0,r)+zt+o.slice(r)+q+u):o+q+(r===-2?p:u)}return[Gt(t,a+(t[i]||"<?>")+(e===2?"</svg>":e===3?"</math>":"")),s]},$t=class t{constructor({strings:e,_$litType$:i},s){let n;this.parts=[];let a=0,l=0,p=e.length-1,o=this.parts,[k,m]=Xt(e,i);if(this.el=t.createElement(k,s),J.currentNode=this.el.content,i===2||i===3){let r=this.el.content.firstChild;r.replaceWith(...r.childNodes)}for(;(n=J.nextNode())!==null&&o.length<p;){if(n.nodeType===1){if(n.hasAttributes())for(let r of n.getAttributeNames())if(r.endsWith(zt)){let g=m[l++],u=n.getAttribute(r).split(q),y=/([.?@])?(.*)/.exec(g);o.push({type:1,index:a,name:y[2],strings:u,ctor:y[1]==="."?xt:y[1]==="?"?yt:y[1]==="@"?wt:nt}),n.removeAttribute(r)}else r.startsWith(q)&&(o.push({type:6,index:a}),n.removeAttribute(r));if(Kt.test(n.tagName)){let r=n.textContent.split(q),g=r.length-1;if(g>0){n.textContent=bt?bt.emptyScript:"";for(let u=0;u<g;u++)n.append(r[u],ut()),J.nextNode(),o.push({type:2,index:++a});n.append(r[g],ut())}}}else if(n.nodeType===8)if(n.data===jt)o.push({type:2,index:a});else{let r=-1;for(;(r=n.data.indexOf(q,r+1))!==-1;)o.push({type:7,index:a}),r+=q.length-1}a++}}static createElement(e,i){let s=tt.createElement("template");return s.innerHTML=e,s}};function et(t,e,i=t,s){if(e===F)return e;let n=s!==void 0?i._$Co?.[s]:i._$Cl,a=ht(e)?void 0:e._$litDirective$;return n?.constructor!==a&&(n?._$AO?.(!1),a===void 0?n=void 0:(n=new a(t),n._$AT(t,i,s)),s!==void 0?(i._$Co??=[])[s]=n:i._$Cl=n),n!==void 0&&(e=et(t,n._$AS(t,e.values),n,s)),e}var vt=class{constructor(e,i){this._$AV=[],this._$AN=void 0,this._$AD=e,this._$AM=i}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(e){let{el:{content:i},parts:s}=this._$AD,n=(e?.creationScope??tt).importNode(i,!0);J.currentNode=n;let a=J.nextNode(),l=0,p=0,o=s[0];for(;o!==void 0;){if(l===o.index){let k;o.type===2?k=new ot(a,a.nextSibling,this,e):o.type===1?k=new o.ctor(a,o.name,o.strings,this,e):o.type===6&&(k=new At(a,this,e)),this._$AV.push(k),o=s[++p]}l!==o?.index&&(a=J.nextNode(),l++)}return J.currentNode=tt,n}p(e){let i=0;for(let s of this._$AV)s!==void 0&&(s.strings!==void 0?(s._$AI(e,s,i),i+=s.strings.length-2):s._$AI(e[i])),i++}},ot=class t{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(e,i,s,n){this.type=2,this._$AH=h,this._$AN=void 0,this._$AA=e,this._$AB=i,this._$AM=s,this.options=n,this._$Cv=n?.isConnected??!0}get parentNode(){let e=this._$AA.parentNode,i=this._$AM;return i!==void 0&&e?.nodeType===11&&(e=i.parentNode),e}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(e,i=this){e=et(this,e,i),ht(e)?e===h||e==null||e===""?(this._$AH!==h&&this._$AR(),this._$AH=h):e!==this._$AH&&e!==F&&this._(e):e._$litType$!==void 0?this.$(e):e.nodeType!==void 0?this.T(e):Yt(e)?this.k(e):this._(e)}O(e){return this._$AA.parentNode.insertBefore(e,this._$AB)}T(e){this._$AH!==e&&(this._$AR(),this._$AH=this.O(e))}_(e){this._$AH!==h&&ht(this._$AH)?this._$AA.nextSibling.data=e:this.T(tt.createTextNode(e)),this._$AH=e}$(e){let{values:i,_$litType$:s}=e,n=typeof s=="number"?this._$AC(e):(s.el===void 0&&(s.el=$t.createElement(Gt(s.h,s.h[0]),this.options)),s);if(this._$AH?._$AD===n)this._$AH.p(i);else{let a=new vt(n,this),l=a.u(this.options);a.p(i),this.T(l),this._$AH=a}}_$AC(e){let i=Wt.get(e.strings);return i===void 0&&Wt.set(e.strings,i=new $t(e)),i}k(e){Lt(this._$AH)||(this._$AH=[],this._$AR());let i=this._$AH,s,n=0;for(let a of e)n===i.length?i.push(s=new t(this.O(ut()),this.O(ut()),this,this.options)):s=i[n],s._$AI(a),n++;n<i.length&&(this._$AR(s&&s._$AB.nextSibling,n),i.length=n)}_$AR(e=this._$AA.nextSibling,i){for(this._$AP?.(!1,!0,i);e!==this._$AB;){let s=It(e).nextSibling;It(e).remove(),e=s}}setConnected(e){this._$AM===void 0&&(this._$Cv=e,this._$AP?.(e))}},nt=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(e,i,s,n,a){this.type=1,this._$AH=h,this._$AN=void 0,this.element=e,this.name=i,this._$AM=n,this.options=a,s.length>2||s[0]!==""||s[1]!==""?(this._$AH=Array(s.length-1).fill(new String),this.strings=s):this._$AH=h}_$AI(e,i=this,s,n){let a=this.strings,l=!1;if(a===void 0)e=et(this,e,i,0),l=!ht(e)||e!==this._$AH&&e!==F,l&&(this._$AH=e);else{let p=e,o,k;for(e=a[0],o=0;o<a.length-1;o++)k=et(this,p[s+o],i,o),k===F&&(k=this._$AH[o]),l||=!ht(k)||k!==this._$AH[o],k===h?e=h:e!==h&&(e+=(k??"")+a[o+1]),this._$AH[o]=k}l&&!n&&this.j(e)}j(e){e===h?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,e??"")}},xt=class extends nt{constructor(){super(...arguments),this.type=3}j(e){this.element[this.name]=e===h?void 0:e}},yt=class extends nt{constructor(){super(...arguments),this.type=4}j(e){this.element.toggleAttribute(this.name,!!e&&e!==h)}},wt=class extends nt{constructor(e,i,s,n,a){super(e,i,s,n,a),this.type=5}_$AI(e,i=this){if((e=et(this,e,i,0)??h)===F)return;let s=this._$AH,n=e===h&&s!==h||e.capture!==s.capture||e.once!==s.once||e.passive!==s.passive,a=e!==h&&(s===h||n);n&&this.element.removeEventListener(this.name,this,s),a&&this.element.addEventListener(this.name,this,e),this._$AH=e}handleEvent(e){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,e):this._$AH.handleEvent(e)}},At=class{constructor(e,i,s){this.element=e,this.type=6,this._$AN=void 0,this._$AM=i,this.options=s}get _$AU(){return this._$AM._$AU}_$AI(e){et(this,e)}},Qt={M:zt,P:q,A:jt,C:1,L:Xt,R:vt,D:Yt,V:et,I:ot,H:nt,N:yt,U:wt,B:xt,F:At},fe=Ct.litHtmlPolyfillSupport;fe?.($t,ot),(Ct.litHtmlVersions??=[]).push("3.3.3");var Zt=(t,e,i)=>{let s=i?.renderBefore??e,n=s._$litPart$;if(n===void 0){let a=i?.renderBefore??null;s._$litPart$=n=new ot(e.insertBefore(ut(),a),a,void 0,i??{})}return n._$AI(t),n};var Jt=`.lk {
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
.lk-monitor { width: 100%; padding: 8px 14px 6px; border: 1px solid var(--lk-line); border-radius: 6px; background: var(--lk-back); }
.lk-controls { display: flex; flex-wrap: wrap; gap: 6px 8px; align-items: center; }
.lk-how { min-width: 5em; white-space: nowrap; font-size: 12px; }
.lk button.lk-wide { min-width: 6.1em; padding: 2px 6px; }
.lk-group { display: inline-flex; }
.lk .lk-group button { border-radius: 0; margin-left: -1px; padding: 2px 6px; }
.lk .lk-group button:first-child { border-radius: 4px 0 0 4px; margin-left: 0; }
.lk .lk-group button:last-child { border-radius: 0 4px 4px 0; }
.lk .lk-group button[aria-pressed="true"] { background: var(--lk-back); border-color: var(--lk-main); box-shadow: inset 0 0 0 1px var(--lk-main); font-weight: 600; z-index: 1; }
.lk-drop { position: relative; }
.lk-drop > summary { cursor: pointer; font-size: 12px; line-height: 1.4; padding: 2px 7px; white-space: nowrap; border-radius: 4px; background: var(--lk-soft); border: 1px solid var(--lk-line); user-select: none; }
.lk-drop > summary:hover { border-color: var(--lk-dim); }
.lk-list {
  position: absolute; z-index: 20; top: calc(100% + 3px); left: 0; min-width: 100%; max-height: 22em; overflow: auto; padding: 6px 12px 6px 8px;
  background: var(--lk-back); border: 1px solid var(--lk-dim); border-radius: 4px; box-shadow: 0 3px 10px rgb(0 0 0 / 25%); font-size: 12px;
}
.lk-list label { display: block; white-space: nowrap; cursor: pointer; }
.lk-list input { vertical-align: -2px; margin: 0 4px 0 0; }
.lk-said { min-height: 20px; overflow-wrap: anywhere; }
.lk-legend { display: flex; flex-wrap: wrap; gap: 0 14px; align-items: center; min-height: 22px; font-size: 12px; }
.lk .lk-legend button { padding: 1px 2px; white-space: nowrap; }
.lk-legend svg { vertical-align: -1px; }
.lk .lk-legend button[aria-pressed="false"] { opacity: 0.6; text-decoration: line-through; }
.lk .lk-legend button[data-gone] { color: var(--lk-dim); }
.lk-others { color: var(--lk-dim); white-space: nowrap; }
.lk-plots { min-height: 160px; margin: 0 !important; min-width: 0; overflow: hidden; }
.lk-plots > * { display: block; width: 100%; min-width: 0; max-width: 100%; overflow: hidden; margin: 0; }
.lk-plots .js-plotly-plot .spikeline { stroke: var(--lk-dim) !important; stroke-width: 1 !important; }
.lk-plots .js-plotly-plot text { fill: var(--lk-dim) !important; }
.lk-plots .js-plotly-plot .annotation text { fill: var(--lk-text) !important; }
.lk-plots .js-plotly-plot .gridlayer path { stroke: var(--lk-line) !important; stroke-opacity: 1 !important; }
.lk-plots .js-plotly-plot .hoverlayer text { fill: var(--lk-text) !important; }
.lk-plots .js-plotly-plot .hoverlayer .legend .bg { fill: var(--lk-back) !important; stroke: var(--lk-dim) !important; fill-opacity: 0.95 !important; }
.lk-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) { .lk-bar > div { background: Highlight; } }
`;function ve(t,e){let i=t.getRootNode(),s=i instanceof ShadowRoot?i:document.head;if(!s.querySelector("style[data-labkit]")){let n=document.createElement("style");n.dataset.labkit="",n.textContent=`${e.palette}
${Jt}`,s.append(n)}}var it=globalThis.labkitTwins??=new Map;function xe(t){if(!t)return()=>{};let e=()=>{let i=document.head.querySelector("style[data-labkit-twins]");i||(i=document.createElement("style"),i.dataset.labkitTwins="",document.head.append(i)),i.textContent=[...it.keys()].map(s=>`[data-lk-twin="${s}"], .jp-OutputArea-child:has([data-lk-twin="${s}"]) { display: none; }`).join(`
`)};return it.set(t,(it.get(t)??0)+1),e(),()=>{it.set(t,it.get(t)-1),it.get(t)||it.delete(t),e()}}function ye(t){return t.comm_live===!1||t.comm?.jsServicesComm?.isDisposed===!0}function R({model:t,el:e,looks:i},s,n=()=>{}){ve(e,i),e.classList.add("lk");let a=!1,l=0,p=()=>{l=0,Zt(s(a),e),n(e)},o=()=>{l||=requestAnimationFrame(p)},k=setInterval(async()=>{let g=await t.widget_manager.get_model(t.get("own"));a!==ye(g)&&(a=!a,o())},1e3);t.on("change",o);let m=xe(t.get("twin"));p();let r=()=>{cancelAnimationFrame(l),t.off("change",o),clearInterval(k),m()};return r.redraw=o,r.lost=()=>a,r}var B="The kernel was restarted: this is how it was. Run the cell again to have it live.";function st(t,e,i=e){let[s,n]=t.signs[e]??t.signs.unknown;return d`<span class="lk-state" data-state=${e} style="color: var(--lk-${n})"><span class="lk-sign" aria-hidden="true">${s}</span> ${i}</span>`}function W(t,e){let[i,s,n]=t.engines[e];return d`<span class="lk-chip" style="background: ${s}; color: ${n}">${i}</span>`}function Y(t){return t==null?d`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`:d`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100*t)} aria-label="progress"><div style="width: ${100*t}%"></div></span>`}function _t([t,e],i){return d`<div class="lk-error" role="alert"><div>${t}${e?d`<br>→ ${e}`:h}</div>
    ${i?d`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${i}>✕</button>`:h}</div>`}function rt(t){return t==null?"":`${(100*t).toPrecision(t>=.995?3:2).replace(/\.0+$/,"")} %`}function Ot(t,e,i,s){if(t.length<2)return h;let[n,a]=[90,18],l=Math.max(e,...t),p=t.map((o,k)=>`${(n-1-(t.length-1-k)*(n-2)/59).toFixed(1)},${(a-1-(a-2)*o/l).toFixed(1)}`).join(" ");return d`<svg width=${n} height=${a} viewBox="0 0 ${n} ${a}" role="img" aria-label=${s}>
    <line x1="0" y1=${a-.5} x2=${n} y2=${a-.5} stroke="var(--lk-line)"></line>
    <polyline points=${p} fill="none" stroke=${i} stroke-width="1.3"></polyline></svg>`}var we={start:"boot it",resume:"let its processors go on",pause:"stop its processors where they are",stop:"shut it down in an orderly way",restart:"shut it down and boot it again",kill:"switch it off, as if the power failed",run:"run a command in it",console:"open its console",snapshot:"keep its state under a name",revert:"go back to a snapshot",clone:"make a second one with the same disk",resize:"change memory or processors",limits:"limit its processor time",stats:"show its counters",attach:"connect it to a network",detach:"take it from a network",link:"change its link to a network",migrate:"move it to another host",destroy:"end it and remove all it had"},kt={run:[["command","command","uname -a"]],snapshot:[["name","name","snap-1"]],revert:[["name","snapshot",null]],clone:[["name","name of the clone",""]],migrate:[["to","to host",null]],resize:[["memory","memory",""],["vcpus","processors",""]],limits:[["cpus","processors (empty: no limit)","0.5"]],attach:[["network","network",null],["address","address (empty: the next one)",""]],detach:[["network","network",null]],link:[["network","network",null],["cable","cable (in or out)","in"],["bandwidth","bandwidth (empty: no limit)",""]]};function Ae({model:t,el:e,looks:i}){let s="",n="",a=!1,l=()=>y.redraw();function p($){if(kt[$]||$==="destroy"){n=n===$?"":$,n&&kt[$]?.some(([,,v])=>v===null)&&t.send({ask:"words",verb:$}),l(),n&&queueMicrotask(()=>requestAnimationFrame(()=>e.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));return}if($==="stats"){a=!a,l();return}o($,{})}function o($,v){s=$==="console"?"":$,n="",t.send({ask:"verb",verb:$,words:v}),l()}function k($,v,w){let E=v.doing&&(s===$||v.doing.split(" ")[0]===$),z=w||!v.fit.includes($)&&$!=="console"||!!v.ended,A=w?"the kernel was restarted":v.doing?`it is busy: ${v.doing}`:`not while it is ${v.state}`;return d`<button class=${$==="destroy"?"lk-danger":""} aria-disabled=${z?"true":"false"} ?data-busy=${E}
      title=${z?A:we[$]} data-verb=${$}
      aria-expanded=${kt[$]||$==="destroy"?String(n===$):h}
      @click=${()=>z||p($)}>${$}${E?" …":""}</button>`}function m($){if(!n)return h;if(n==="destroy")return d`<div class="lk-ask" role="group" aria-label="destroy ${$}?">Destroy ${$} and all it has?
        <button class="lk-danger" @click=${()=>o("destroy",{})}>Destroy</button>
        <button @click=${()=>{n="",l()}}>Keep it</button></div>`;let v=t.get("asking"),w=v.verb===n?v.names:[];return d`<form class="lk-ask" @submit=${z=>{z.preventDefault(),o(n,Object.fromEntries(new FormData(z.target)))}} @keydown=${z=>{z.key==="Escape"&&(n="",l()),z.stopPropagation()}}>
      ${kt[n].map(([z,A,b])=>d`<label>${A}
        ${b===null?d`<select name=${z}>${w.map(H=>d`<option>${H}</option>`)}</select>`:d`<input type="text" name=${z} value=${b} autocomplete="off" spellcheck="false">`}</label>`)}
      ${kt[n][0][2]===null&&!w.length?d`<span class="lk-dim">there is none</span>`:d`<button type="submit">${n}</button>`}
      <button type="button" @click=${()=>{n="",l()}}>cancel</button></form>`}function r($,v){return!v.length||$.cpu===null?h:d`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${rt($.cpu)}
        ${Ot(v.map(([w])=>w),1,"var(--lk-busy)",`processor use, now ${rt($.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${$.memory}
        ${Ot(v.map(([,w])=>w),1,"var(--lk-paused)",`memory held, now ${$.memory}`)}</span></dd>`}function g($){let v=t.get("fixed"),w=t.get("now"),E=t.get("usage"),z=t.get("result");w.doing||(s="");let A=Object.entries(v.absent),b=A.map(([H,C])=>`${H}: ${C}`).join(`
`);return d`<div class="lk-box" role="group" aria-label="machine ${v.name}, ${w.ended||w.state}">
      <div class="lk-head">${W(i,v.engine)}<span class="lk-name">${v.name}</span>
        <span class="lk-dim">on ${w.host}</span>
        <span class="lk-right" aria-live="polite">${w.ended?d`<span class="lk-dim">${w.ended}</span>`:st(i,w.state)}</span></div>
      <dl class="lk-facts">
        ${v.facts.map(([H,C])=>d`<dt>${H}</dt><dd>${C}</dd>`)}
        ${w.networks.map(([H,C,P,S])=>d`<dt>${H}</dt><dd>${C} <span class="lk-dim">(${P})${S==="up"?"":d` · ${S}`}</span></dd>`)}
        ${a||!w.ended?r(w,E):h}
      </dl>
      ${w.ended?h:d`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${v.name}">
        ${v.verbs.filter(H=>H!=="stats").map(H=>k(H,w,$))}
        ${A.length?d`<span class="lk-absent" tabindex="0" role="note" title=${b} aria-label="not possible here: ${b}">not here: ${A.map(([H])=>H).join(", ")}</span>`:h}</div>`}
      ${w.doing?d`<div class="lk-doing" role="status">${Y(w.fraction)} ${w.doing}${w.fraction===null?"":` ${Math.round(100*w.fraction)} %`}
        ${w.can_cancel?d`<button aria-disabled=${String($)} title="take it back: the machine goes on where it was"
          @click=${()=>$||t.send({ask:"cancel"})}>Cancel</button>`:h}</div>`:h}
      ${w.ended||$?h:m(v.name)}
      ${w.error.length?_t(w.error,$?null:()=>t.send({ask:"dismiss"})):h}
      ${z.command?d`<div class="lk-dim" style="margin-top: 6px"><code>${z.command}</code>
        ${z.exit_code?d`· ${st(i,"failed",`exit code ${z.exit_code}`)}`:h}
        <button class="lk-plain" aria-label="dismiss the output" @click=${()=>t.send({ask:"dismiss"})}>✕</button></div><pre>${z.text}</pre>`:h}
      ${$?d`<div class="lk-dim" style="margin-top: 6px">${B}</div>`:h}
      <div class="lk-slot"></div>
    </div>`}let u=at(t,e,"terminal"),y=R({model:t,el:e,looks:i},g,u);return y}function at(t,e,i){let s="";return async()=>{let n=t.get(i);if(n===s)return;s=n;let a=e.querySelector(".lk-slot");if(a.replaceChildren(),a.style.marginTop=n?"10px":"0",!n)return;let l=await t.widget_manager.get_model(n),p=await t.widget_manager.create_view(l);if(s!==n)return;let o=p.luminoWidget?.node??p.el;a.append(o)}}function _e({model:t,el:e,looks:i}){let s=(o,k)=>t.send({ask:"change",name:o,value:k});function n(o,k,m){let r=t.get("values")[o.name],g=t.get("errors")[o.name],u={id:k,wrong:g?"true":"false",about:`${k}-about`};return o.kind==="check"?d`<input type="checkbox" id=${k} .checked=${r} ?disabled=${m} aria-describedby=${u.about} @change=${y=>s(o.name,y.target.checked)}>`:o.kind==="many"?o.choices.length?d`<span role="group" id=${k}>${o.choices.map(y=>d`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${r.includes(y)} ?disabled=${m}
          @change=${$=>s(o.name,$.target.checked?[...r,y]:r.filter(v=>v!==y))}> ${y}</label>`)}</span>`:d`<span class="lk-dim" id=${k}>there are none yet</span>`:d`<input type="text" id=${k} .value=${String(r)} ?disabled=${m} autocomplete="off" spellcheck="false"
      inputmode=${o.kind==="number"?"numeric":h} aria-invalid=${u.wrong} aria-describedby=${u.about}
      @input=${y=>s(o.name,y.target.value)}>`}let a=`lk${Math.random().toString(36).slice(2)}`,l=at(t,e,"card");return R({model:t,el:e,looks:i},o=>{let k=t.get("errors"),m=t.get("busy"),r=o||!!m||Object.keys(k).length>0;return d`<form class="lk-box" @submit=${u=>{u.preventDefault(),r||t.send({ask:"create"})}} @keydown=${u=>u.stopPropagation()} aria-label=${t.get("title")}>
      <div class="lk-head">${W(i,t.get("engine_kind"))}<span class="lk-name">${t.get("title")}</span></div>
      <div class="lk-fields">${t.get("fields").map(u=>d`<label for="${a}-${u.name}">${u.label}</label>
        ${n(u,`${a}-${u.name}`,o||!!m)}
        <span id="${a}-${u.name}-about" class=${k[u.name]?"lk-wrong":"lk-help"}>${k[u.name]?`✖ ${k[u.name]}`:u.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${t.get("code")||"(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${r?"true":"false"}>Create</button>
        ${m?d`<span class="lk-doing" role="status" style="margin: 0">${Y(null)} ${m}</span>`:h}</div>
      ${t.get("failed").length?_t(t.get("failed")):h}
      ${o?d`<div class="lk-dim">${B}</div>`:h}
      <div class="lk-slot"></div></form>`},l)}var Mt={ATTRIBUTE:1,CHILD:2,PROPERTY:3,BOOLEAN_ATTRIBUTE:4,EVENT:5,ELEMENT:6},Tt=t=>(...e)=>({_$litDirective$:t,values:e}),ct=class{constructor(e){}get _$AU(){return this._$AM._$AU}_$AT(e,i,s){this._$Ct=e,this._$AM=i,this._$Ci=s}_$AS(e,i){return this.update(e,i)}update(e,i){return this.render(...i)}};var gt=class extends ct{constructor(e){if(super(e),this.it=h,e.type!==Mt.CHILD)throw Error(this.constructor.directiveName+"() can only be used in child bindings")}render(e){if(e===h||e==null)return this._t=void 0,this.it=e;if(e===F)return e;if(typeof e!="string")throw Error(this.constructor.directiveName+"() called with a non-string value");if(e===this.it)return this._t;this.it=e;let i=[e];return i.raw=i,this._t={_$litType$:this.constructor.resultType,strings:i,values:[]}}};gt.directiveName="unsafeHTML",gt.resultType=1;var Pt=Tt(gt);function Me({model:t,el:e,looks:i}){let s=!1,n=0;function a(m){s||m||(s=!0,t.send({ask:"cancel"}),o.redraw())}function l(m,r){if(m.done)return h;let g=r||s||m.late,u=r?"the kernel was restarted":m.late?"it runs at the destination already":"take it back: the machine goes on where it was";return d`<div class="lk-doing" role="status">${Y(m.fraction)} <span>${m.doing}</span>
      <button aria-disabled=${String(!!g)} title=${u} @click=${()=>a(g)}>${s?"cancelling …":m.late?"too late to cancel":"Cancel"}</button></div>`}function p(m){let{name:r,engine:g,source:u,destination:y}=t.get("fixed"),$=t.get("now"),[v,w,E]=$.end;return d`<div class="lk-box lk-move" role="group" aria-label="migration of ${r}, ${E}">
      <div class="lk-head">${W(i,g)}<span class="lk-name">${r}</span><span class="lk-dim">${u} → ${y}</span>
        <span class="lk-right" aria-live="polite" style="color: var(--lk-${w})"><span aria-hidden="true">${v}</span> ${E}</span></div>
      ${l($,m)}
      <div class="lk-picture">${Pt(t.get("picture"))}</div>
      ${Pt(t.get("outcome"))}
      ${m&&!$.done?d`<div class="lk-dim" style="margin-top: 6px">${B}</div>`:h}</div>`}let o=R({model:t,el:e,looks:i},p),k=new ResizeObserver(([{contentRect:{width:m}}])=>{o.lost()||m<50||Math.abs(m-n)<10||(n=m,t.send({ask:"width",across:m}))});return k.observe(e.querySelector(".lk-picture")),()=>{k.disconnect(),o()}}var Et=t=>t>=60?`${+(t/60).toPrecision(3)} min`:`${t} s`,Te={solid:"",dash:"6 3",dot:"2 2.5"};function Se({model:t,el:e,looks:i}){let s=0,n=null,a=(A,b)=>{w.lost()||t.send({ask:A,...b})};function l(A){let b=t.get("paused");return d`<button aria-disabled=${String(A)} aria-pressed=${String(b)} class="lk-wide"
      title=${b?"let the picture move again":"let the picture stand; readings go on"}
      @click=${()=>{A||a("pause",{paused:!b})}}>${b?"▶ Resume":"❚❚ Pause"}</button>`}function p(A){let b=t.get("window"),H=[...new Set([...t.get("windows"),b])].filter(Boolean).sort((C,P)=>C-P);return d`<span class="lk-group" role="group" aria-label="window">${H.map(C=>d`<button
      aria-disabled=${String(A)} aria-pressed=${String(C===b)} title="show the last ${Et(C)}"
      @click=${()=>{!A&&C!==b&&a("window",{seconds:C})}}>${Et(C)}</button>`)}</span>`}function o(A){let b=t.get("metrics"),H=(C,P)=>{let S=P?[...b,C]:b.filter(N=>N!==C);A||a("metrics",{names:S})};return d`<details class="lk-drop"><summary>Metrics: ${b.length}</summary><div class="lk-list" role="group" aria-label="metrics">
      ${t.get("offered").map(([C,P])=>{let S=b.includes(C),N=A||(S?b.length===1:b.length>=8);return d`<label><input type="checkbox" .checked=${S} ?disabled=${N} data-metric=${C}
          @change=${I=>H(C,I.target.checked)}> ${P}</label>`})}</div></details>`}function k(A){let b=t.get("choice"),H=b.filter(([,,O])=>O).map(([O])=>O),C=b.every(([O,,V])=>V===O.includes("/")),P=O=>{A||a("machines",{keys:O})},S=([O,V,G])=>d`<label><input type="checkbox" .checked=${G} ?disabled=${A}
      data-machine=${O} @change=${D=>P(D.target.checked?[...H,O]:H.filter(X=>X!==O))}> ${V}</label>`,N=b.filter(([O])=>O.includes("/")),I=b.filter(([O])=>!O.includes("/"));return d`<details class="lk-drop"><summary>Machines: ${C?"all":H.length}</summary>
      <div class="lk-list" role="group" aria-label="machines">
        <div><button @click=${()=>P(null)}>all</button> <button @click=${()=>P([])}>none</button></div>
        ${N.map(S)}${I.length?d`<div class="lk-dim">hosts</div>`:h}${I.map(S)}
      </div></details>`}let m=()=>n===null?"":`[data-plots="${t.get("own")}"] .scatterlayer g.trace:not([class$="place${n}"]) { opacity: 0.15 !important; }`,r=A=>({handleEvent(b){n=b.type==="pointerenter"||b.type==="focus"&&b.target.matches(":focus-visible")?A:null,w.redraw()}});function g(A){let b=t.get("legend"),H=b.filter(S=>S[5]).map(([S])=>S),C=(S,N)=>a("hide",{keys:N?H.filter(I=>I!==S):[...H,S]}),P=(S,N)=>d`<svg width="18" height="10" viewBox="0 0 18 10" aria-hidden="true"><line
      x1="1" y1="5" x2="17" y2="5" stroke=${S} stroke-width="3" stroke-dasharray=${Te[N]??""}></line></svg>`;return d`<div class="lk-legend" role="group" aria-label="legend">${b.map(([S,N,I,O,V,G,D])=>S?d`<button class="lk-plain" data-key=${S} ?data-gone=${!!V}
          @pointerenter=${r(D)} @pointerleave=${r(D)} @focus=${r(D)} @blur=${r(D)} aria-pressed=${String(!G)} aria-disabled=${String(A)}
          title=${G?`show ${N} in all plots`:`hide ${N} in all plots`}
          @click=${()=>{A||C(S,G)}}>${P(I,O)} ${N}${V?d` <span class="lk-dim">${V}</span>`:h}</button>`:d`<span class="lk-others" @pointerenter=${r(D)} @pointerleave=${r(D)}>${P(I,O)} ${N}</span>`)}</div>`}function u(A){let b=t.get("ended");return A||b?d`<span class="lk-how" style="color: var(--lk-failed)"><span aria-hidden="true">✖</span> ${A?"the kernel was restarted":b}</span>`:t.get("paused")?d`<span class="lk-how" style="color: var(--lk-paused)"><span aria-hidden="true">❚❚</span> paused</span>`:d`<span class="lk-how" style="color: var(--lk-running)"><span aria-hidden="true">●</span> live</span>`}function y(){let A=new Map(t.get("offered"));return`${t.get("metrics").map(b=>A.get(b)).join(", ")}, the last ${Et(t.get("window"))}`}function $(A){let b=A||!!t.get("ended"),[H,C,P]=t.get("said"),S=A?B:t.get("note");return d`<div class="lk-monitor" role="group" aria-label="monitor of ${t.get("title")}">
      <div class="lk-controls"><span class="lk-name">${t.get("title")}</span>${u(A)}${l(b)}${p(b)}${o(b)}${k(b)}</div>
      <div class="lk-said" role="status">${P?d`<span style="color: var(--lk-${C})"><span aria-hidden="true">${H}</span> ${P}</span>`:h}</div>
      ${S?d`<div class="lk-dim">${S}</div>`:h}
      ${g(b)}
      <style .textContent=${m()}></style>
      <div class="lk-slot lk-plots" role="img" aria-label=${y()} data-plots=${t.get("own")}></div></div>`}let v=at(t,e,"figure"),w=R({model:t,el:e,looks:i},$,v),E=new ResizeObserver(([{contentRect:{width:A}}])=>{A<50||Math.abs(A-s)<10||(s=A,a("width",{across:A}))});E.observe(e.querySelector(".lk-plots"));let z=A=>{for(let b of e.querySelectorAll("details.lk-drop[open]"))b.contains(A.target)||(b.open=!1)};return document.addEventListener("pointerdown",z),()=>{document.removeEventListener("pointerdown",z),E.disconnect(),w()}}var He={start:"M3 1.5v9l7-4.5z",resume:"M3 1.5v9l7-4.5z",pause:"M3 2h2v8H3zM7 2h2v8H7z",stop:"M2.5 2.5h7v7h-7z",restart:"M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",kill:"M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",destroy:"M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z"},Ce=t=>d`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${He[t]}></path></svg>`,ze=[["name","machine"],["state","state"],["cpu","processor"],["memory","memory"],["addresses","addresses"]],je={B:1,KiB:1024,MiB:1024**2,GiB:1024**3,TiB:1024**4};function Le(t,e){if(e==="cpu")return t.cpu??-1;if(e==="memory"){let[i,s]=t.memory.split(" ");return Number(i||-1)*(je[s]??1)}return e==="addresses"?t.addresses.map(i=>i.split(".").map(s=>s.padStart(3,"0")).join(".")).join():t[e].replace(/\d+/g,i=>i.padStart(6,"0"))}function Ne(t,[e,i]){let s=t.map(n=>[Le(n,e),n]);return s.sort(([n],[a])=>n<a?-1:n>a?1:0),i&&s.reverse(),s.map(([,n])=>n)}function te(t,e,i,s,n,a){let l=(r,g)=>t.send({ask:"verb",host:r.host,name:r.name,verb:g});function p(r,g,u){if(!r.verbs.includes(g))return h;let y=u||!r.fit.includes(g),$=s.sure===`${r.host}/${r.name}`;if(g==="destroy"&&$)return d`<button class="lk-danger" @click=${()=>{s.sure="",l(r,g),n()}}>destroy ${r.name}?</button>
        <button @click=${()=>{s.sure="",n()}}>keep</button>`;let v=()=>{y||(g==="destroy"?s.sure=`${r.host}/${r.name}`:l(r,g),n())};return d`<button aria-disabled=${y?"true":"false"} data-verb=${g} aria-label="${g} ${r.name}" title=${g} @click=${v}>${Ce(g)}</button>`}function o(r,g){let u=r.verbs.includes("resume")&&r.state==="paused"?"resume":"pause",y=r.fit.includes("start")||r.state==="stopped"?"start":"stop";return d`<tr class="lk-row" data-machine=${r.name}><td>${W(i,r.engine)} ${r.name}</td>
      <td>${r.doing?st(i,"starting",`${r.doing}${r.fraction===null?"":` ${Math.round(100*r.fraction)} %`}`):st(i,r.state)}
        ${r.error.length?d`<span tabindex="0" role="note" title=${r.error.join(`
→ `)} aria-label="last error: ${r.error.join(". ")}">${st(i,"failed","error")}</span>`:h}</td>
      <td class="lk-number">${rt(r.cpu)}</td><td class="lk-number">${r.memory}</td>
      <td class="lk-addresses">${r.addresses.join(", ")}</td>
      <td class="lk-acts">${[u,y,"restart","kill","destroy"].map($=>p(r,$,g))}</td></tr>`}function k(){return d`<thead><tr>${ze.map(([r,g])=>{let u=s.sort[0]===r;return d`<th scope="col" aria-sort=${u?s.sort[1]?"descending":"ascending":"none"}>
        <button @click=${()=>{s.sort=[r,u&&!s.sort[1]],n()}} title="sort by ${g}">${g} ${u?s.sort[1]?"▾":"▴":""}</button></th>`})}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`}function m(r,g,u){let y=!s.closed.has(r.name),$=()=>{y?s.closed.add(r.name):s.closed.delete(r.name),n()};return d`<tbody>${a?h:d`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(y)} aria-label="machines of ${r.name}" @click=${$}>${y?"▾":"▸"}</button>
        <b>${r.name}</b> <span class="lk-dim">${r.address} · ${r.ended?"has ended":r.count===1?"1 machine":`${r.count} machines`}${r.count?`, ${r.running} running`:""}</span></th>
        <td class="lk-number lk-dim">${rt(r.cpu)}</td><td class="lk-number lk-dim">${r.memory}</td><td colspan="2"></td></tr>`}
      ${y||a?Ne(g.filter(v=>v.host===r.name),s.sort).map(v=>o(v,u)):h}</tbody>`}return r=>{let g=t.get("rows");return d`<div class="lk-scroll"><table aria-label="machines of ${t.get("title")}">${k()}
      ${t.get("hosts").map(u=>m(u,g,r))}</table></div>`}}function ee(t,e){let i=t.get("ended");return i||e?d`<div class="lk-dim" style="margin-top: 6px">${i||B}</div>`:h}function Oe({model:t,el:e,looks:i}){let n=te(t,e,i,{sort:["name",!1],closed:new Set,sure:""},()=>a.redraw(),!1),a=R({model:t,el:e,looks:i},l=>d`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">lab</span></div>
    ${t.get("ended")?h:n(l)}
    ${t.get("networks").length&&!t.get("ended")?d`<div class="lk-dim" style="margin-top: 4px">networks: ${t.get("networks").map(([p,o,k,m])=>d`<span title=${m} style="margin-right: 14px">${p} ${k} (${o})</span>`)}</div>`:h}
    ${ee(t,l)}</div>`);return a}function Pe({model:t,el:e,looks:i}){let n=te(t,e,i,{sort:["name",!1],closed:new Set,sure:""},()=>a.redraw(),!0),a=R({model:t,el:e,looks:i},l=>{let[p]=t.get("hosts");return d`<div class="lk-box" role="group" aria-label="host ${p.name}">
      <div class="lk-head"><span class="lk-name">${p.name}</span><span class="lk-dim">host, ${p.provider}</span>
        <span class="lk-right lk-dim">${p.address}</span></div>
      <dl class="lk-facts">${t.get("facts").map(([o,k])=>d`<dt>${o}</dt><dd>${k}</dd>`)}
        <dt>machines</dt><dd>${p.count}${p.count?`, ${p.running} running`:""}${p.cpu===null?"":`, using ${rt(p.cpu)} of a processor and ${p.memory}`}</dd></dl>
      ${p.count&&!t.get("ended")?d`<div style="margin-top: 8px">${n(l)}</div>`:h}
      ${ee(t,l)}</div>`});return a}var{I:Ee}=Qt,ne=t=>t;var ie=()=>document.createComment(""),dt=(t,e,i)=>{let s=t._$AA.parentNode,n=e===void 0?t._$AB:e._$AA;if(i===void 0){let a=s.insertBefore(ie(),n),l=s.insertBefore(ie(),n);i=new Ee(a,l,t,t.options)}else{let a=i._$AB.nextSibling,l=i._$AM,p=l!==t;if(p){let o;i._$AQ?.(t),i._$AM=t,i._$AP!==void 0&&(o=t._$AU)!==l._$AU&&i._$AP(o)}if(a!==n||p){let o=i._$AA;for(;o!==a;){let k=ne(o).nextSibling;ne(s).insertBefore(o,n),o=k}}}return i},K=(t,e,i=t)=>(t._$AI(e,i),t),Re={},se=(t,e=Re)=>t._$AH=e,re=t=>t._$AH,St=t=>{t._$AR(),t._$AA.remove()};var ae=(t,e,i)=>{let s=new Map;for(let n=e;n<=i;n++)s.set(t[n],n);return s},mt=Tt(class extends ct{constructor(t){if(super(t),t.type!==Mt.CHILD)throw Error("repeat() can only be used in text expressions")}dt(t,e,i){let s;i===void 0?i=e:e!==void 0&&(s=e);let n=[],a=[],l=0;for(let p of t)n[l]=s?s(p,l):l,a[l]=i(p,l),l++;return{values:a,keys:n}}render(t,e,i){return this.dt(t,e,i).values}update(t,[e,i,s]){let n=re(t),{values:a,keys:l}=this.dt(e,i,s);if(!Array.isArray(n))return this.ut=l,a;let p=this.ut??=[],o=[],k,m,r=0,g=n.length-1,u=0,y=a.length-1;for(;r<=g&&u<=y;)if(n[r]===null)r++;else if(n[g]===null)g--;else if(p[r]===l[u])o[u]=K(n[r],a[u]),r++,u++;else if(p[g]===l[y])o[y]=K(n[g],a[y]),g--,y--;else if(p[r]===l[y])o[y]=K(n[r],a[y]),dt(t,o[y+1],n[r]),r++,y--;else if(p[g]===l[u])o[u]=K(n[g],a[u]),dt(t,n[r],n[g]),g--,u++;else if(k===void 0&&(k=ae(l,u,y),m=ae(p,r,g)),k.has(p[r]))if(k.has(p[g])){let $=m.get(l[u]),v=$!==void 0?n[$]:null;if(v===null){let w=dt(t,n[r]);K(w,a[u]),o[u]=w}else o[u]=K(v,a[u]),dt(t,n[r],v),n[$]=null;u++}else St(n[g]),g--;else St(n[r]),r++;for(;u<=y;){let $=dt(t,o[y+1]);K($,a[u]),o[u++]=$}for(;r<=g;){let $=n[r++];$!==null&&St($)}return this.ut=l,se(t,o),F}});var[pe,ue,Be,oe,Ie,Rt]=[15,12,7,12,28,8],De={width:312,height:26},le={ArrowLeft:[-1,0],ArrowRight:[1,0],ArrowUp:[0,-1],ArrowDown:[0,1]},ft=([t,e],{width:i,height:s})=>({left:t-i/2,top:e-s/2,right:t+i/2,bottom:e+s/2}),he=t=>({left:Math.min(...t.map(e=>e.left)),top:Math.min(...t.map(e=>e.top)),right:Math.max(...t.map(e=>e.right)),bottom:Math.max(...t.map(e=>e.bottom))}),$e=(t,e,i,s)=>({left:t.left-e,top:t.top-i,right:t.right+e,bottom:t.bottom+s});function ce(t,e,i){let s=t.inside.filter(n=>i[n]).map(n=>ft(i[n],e.get(n)));return $e(he(s.length?s:[ft(i[t.id],De)]),oe,Ie,oe)}function Ue(t,e,i){let s=new Set(e.networks.filter(l=>l.own).map(l=>l.id)),n=e.links.filter(l=>l.machine===t.id&&!s.has(l.network)).map(l=>l.network),a=n.length?n:e.networks.filter(l=>!l.own).map(l=>l.id);return!a.length||i[t.id][0]<=a.reduce((l,p)=>l+i[p][0],0)/a.length}function Ve(t,e,i){let s=t.links.map(n=>{let a=e.get(n.machine),[l,p]=i[n.machine],o=i[n.network][0]>=l?1:-1,k=n.row<0?p:p-a.height/2+ue+pe*n.row;return{link:n,side:o,x:l+o*a.width/2,y:k}});for(let n of t.networks)for(let a of[-1,1]){let l=s.filter(o=>o.link.network===n.id&&o.side===a);l.sort((o,k)=>o.y-k.y);let p=Math.min(Be,(n.height-12)/Math.max(1,l.length-1));l.forEach((o,k)=>{o.toX=i[n.id][0]-a*n.width/2,o.toY=i[n.id][1]+p*(k-(l.length-1)/2)})}return s}function de({x:t,y:e,toX:i,toY:s,side:n}){let a=n*Math.max(24,Math.abs(i-t)/2);return`M${t} ${e}C${t+a} ${e} ${i-a} ${s} ${i} ${s}`}function qe({model:t,el:e,looks:i}){let s=null,n=null,a="",l=[],p="",o=()=>X.redraw(),k=c=>new Map([...c.machines,...c.networks].map(x=>[x.id,x]));function m(c,x){let f=`${t.get("arranged")} ${c.machines.map(_=>_.id).sort().join(" ")}`;if(f!==p){let _=new Map(c.hosts.flatMap((M,L)=>M.inside.map(j=>[j,L])));l=c.machines.map(M=>M.id),l.sort((M,L)=>_.get(M)-_.get(L)||x[M][1]-x[L][1]),p=f}return[...c.machines].sort((_,M)=>l.indexOf(_.id)-l.indexOf(M.id))}function r(){let c=t.get("places");if(!n?.ids.length||!n.moved)return c;let x={...c};for(let f of n.ids)c[f]&&(x[f]=[c[f][0]+n.by[0],c[f][1]+n.by[1]]);return x}function g(c,x,f){let _=[...c.networks.map(T=>ft(f[T.id],T)),...c.hosts.map(T=>ce(T,x,f))],{left:M,top:L,right:j,bottom:U}=$e(_.length?he(_):{left:0,top:0,right:300,bottom:40},Rt,Rt,Rt);return[M,L,j-M,U-L]}function u(c){let x=new DOMPoint(c.clientX,c.clientY).matrixTransform(e.querySelector(".lk-topo").getScreenCTM().inverse());return[x.x,x.y]}function y(c,x){let f={...t.get("places")},_={};for(let M of c)f[M]&&(_[M]=f[M]=[Math.round(f[M][0]+x[0]),Math.round(f[M][1]+x[1])]);t.set("places",f),t.send({ask:"move",places:_}),o()}function $(c,x){let[f,_,M,L]=w(),[j,U]=x??[f+M/2,_+L/2],T=Math.min(8,Math.max(.1,c*(M/v[2])))/(M/v[2]);s=[j-(j-f)*T,U-(U-_)*T,M*T,L*T],o()}let v=[0,0,300,40],w=()=>s??v,E=c=>X.lost()||t.send({ask:"open",machine:c});function z(c,x,f){c.button!==0||n||(c.stopPropagation(),e.querySelector(".lk-topo").setPointerCapture(c.pointerId),n={ids:X.lost()?[]:x,id:f,from:u(c),by:[0,0],at:[c.clientX,c.clientY],moved:!1,view:w(),pan:!x.length})}function A(c){if(!n||!n.moved&&Math.hypot(c.clientX-n.at[0],c.clientY-n.at[1])<4)return;n.moved=!0;let[x,f]=u(c);if(n.pan){let[_,M,L,j]=w();s=[_+n.from[0]-x,M+n.from[1]-f,L,j]}else n.by=[x-n.from[0],f-n.from[1]];o()}function b(){if(!n)return;let{ids:c,id:x,by:f,moved:_}=n;n=null,_&&c.length?y(c,f):!_&&x&&E(x),o()}function H(){n=null,o()}function C(c){!c.ctrlKey&&!c.metaKey||(c.preventDefault(),$(Math.exp(Math.sign(c.deltaY)*.15),u(c)))}function P(c,x){if(c.key==="Enter"||c.key===" ")E(x);else if(le[c.key]&&!X.lost())y([x],le[c.key].map(f=>10*f));else return;c.preventDefault(),c.stopPropagation()}let S=c=>c.machine===a||c.network===a,N=c=>{a=n?a:c,o()};function I(c,x,f){let{left:_,top:M,right:L,bottom:j}=ce(c,x,f);return lt`<g class="lk-t-grip" data-host=${c.id} @pointerdown=${U=>z(U,c.inside.length?c.inside:[c.id],"")}>
      <title>${c.title}</title>
      <rect class="lk-t-region" x=${_} y=${M} width=${L-_} height=${j-M} rx="8" stroke-dasharray=${c.ended?"6 4":h}></rect>
      <text class="lk-t-ink" x=${_+12} y=${M+19} font-size="13" font-weight="600">${c.name}<tspan class="lk-t-${c.ended?"failed":"dim"}" dx="10" font-size="10.5" font-weight="400">${c.ended?`${i.signs.failed[0]} `:""}${c.words}</tspan></text></g>`}function O(c,x){let{link:f}=c;return lt`<g class=${x&&!S(f)?"lk-t-faint":""} data-link="${f.machine} ${f.network}" data-up=${String(f.up)}><title>${f.title}</title>
      <path class=${f.up?`lk-t-net${f.colour}`:"lk-t-down"} d=${de(c)} fill="none" stroke-width=${S(f)?2.6:1.4}
        stroke-dasharray=${f.up?h:"4 4"}></path><path class="lk-t-wide" d=${de(c)}></path></g>`}function V(c,x){let[f,_]=x[c.id],{left:M,top:L}=ft([f,_],c);return lt`<g class="lk-t-grip" data-network=${c.id} role="img" aria-label=${c.title} @pointerenter=${()=>N(c.id)} @pointerleave=${()=>N("")}
      @pointerdown=${j=>z(j,[c.id],"")}><title>${c.title}</title>
      <rect class="lk-t-card lk-t-net${c.colour}" x=${M} y=${L} width=${c.width} height=${c.height} rx="12" stroke-width="2"></rect>
      <text class="lk-t-ink" x=${f} y=${_-3} font-size="12" font-weight="600" text-anchor="middle">${c.name}</text>
      <text class="lk-t-dim" x=${f} y=${_+12} font-size="10.5" text-anchor="middle">${c.words}</text></g>`}function G(c,x,f){let _=ft(f[c.id],c),M=Ue(c,x,f),L=_.left+(M?4:100),j=_.top+ue,[U,T,ke]=c.engine,Bt=t.get("selected")===c.id;return lt`<g class="lk-t-machine" data-machine=${c.id} data-state=${c.state} tabindex="0" role="button" aria-label=${c.title} aria-expanded=${String(Bt)}
      @pointerenter=${()=>N(c.id)} @pointerleave=${()=>N("")} @focus=${()=>N(c.id)} @blur=${()=>N("")}
      @pointerdown=${Q=>z(Q,[c.id],c.id)} @keydown=${Q=>P(Q,c.id)}
      @click=${Q=>Q.detail===0&&E(c.id)}><title>${c.title}</title>
      <rect class="lk-t-card ${Bt?"lk-t-chosen":""}" x=${_.left} y=${_.top} width=${c.width} height=${c.height} rx="4"></rect>
      <rect x=${L} y=${j-7.5} width="42" height="15" rx="3" fill=${T}></rect>
      <text x=${L+21} y=${j+3.5} font-size="9.5" font-weight="600" text-anchor="middle" fill=${ke}>${U}</text>
      <text class="lk-t-${c.colour}" x=${L+54} y=${j+4} font-size="10" text-anchor="middle" aria-hidden="true">${c.sign}</text>
      <text class="lk-t-ink" x=${L+66} y=${j+4} font-size="12">${c.name}</text>
      <text class="lk-t-${c.colour}" x=${_.right-(M?100:6)} y=${j+4} font-size="10.5" text-anchor="end">${c.word}</text>
      ${c.rows.map((Q,ge)=>lt`<text class="lk-t-dim" x=${M?_.right-6:_.left+6} y=${j+4+pe*ge} font-size="10.5" text-anchor=${M?"end":"start"}>${Q}</text>`)}</g>`}function D(c){let x=t.get("seen"),f=r(),_=k(x);if([..._.keys(),...x.hosts.map(T=>T.id)].some(T=>!f[T]))return d``;n||(v=g(x,_,f));let[,,M,L]=v,j=t.get("ended"),U=x.links.some(S);return d`<div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">topology</span>
        <span class="lk-right" role="toolbar" aria-label="view of the picture">
          <button aria-label="nearer" title="nearer (Ctrl and the wheel, too)" @click=${()=>$(1/1.25)}>+</button>
          <button aria-label="farther" title="farther" @click=${()=>$(1.25)}>−</button>
          <button title="show all of it" @click=${()=>{s=null,o()}}>fit</button>
          <button aria-disabled=${String(c||!!j)} title="lay everything out anew" @click=${()=>{!c&&!j&&(s=null,t.send({ask:"arrange"}))}}>arrange</button></span></div>
      <svg class="lk-topo" data-lm-suppress-shortcuts="true" role="group" aria-label="topology of ${x.title}" viewBox=${w().join(" ")}
        style="aspect-ratio: ${M} / ${L}; max-width: ${Math.round(1.2*M)}px" ?data-held=${!!n?.moved}
        @pointerdown=${T=>z(T,[],"")} @pointermove=${A} @pointerup=${b} @pointercancel=${H} @wheel=${C}>
        ${mt(x.hosts,T=>T.id,T=>I(T,_,f))}
        ${mt(Ve(x,_,f),({link:T})=>`${T.machine} ${T.network}`,T=>O(T,U))}
        ${mt(x.networks,T=>T.id,T=>V(T,f))}
        ${mt(m(x,f),T=>T.id,T=>G(T,x,f))}</svg>
      ${t.get("note")?d`<div class="lk-dim">${t.get("note")}</div>`:h}
      ${j||c?d`<div class="lk-dim" role="status">${j||B}</div>`:h}
      ${t.get("card")?d`<div class="lk-topo-card">${_.get(t.get("selected"))?.name??""}
        <button class="lk-plain" aria-label="close the card" title="close the card" @click=${()=>E("")}>✕</button></div>`:h}
      <div class="lk-slot"></div>`}let X=R({model:t,el:e,looks:i},D,at(t,e,"card"));return X}function Sn({model:t,el:e,looks:i}){let s=performance.now()-1e3*t.get("elapsed_s"),n=!1,a=R({model:t,el:e,looks:i},p=>{let o=t.get("ended")||(p?"the kernel was restarted":""),k=(performance.now()-s)/1e3;return o?(clearInterval(l),d`<div class="lk-dim"><b>${t.get("title")}</b>: ${o}</div>`):d`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${t.get("title")}</b> ${Y(t.get("fraction"))} <span>${t.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${k.toFixed(0)} s</span>
      <button aria-disabled=${String(n)} @click=${()=>{n||(n=!0,t.send({ask:"cancel"}),a.redraw())}}>${n?"cancelling …":"Cancel"}</button></div>`}),l=setInterval(()=>a.redraw(),1e3);return()=>{clearInterval(l),a()}}function Hn({model:t,el:e,looks:i}){let s=!1,n=!1,a="",l=null,p=R({model:t,el:e,looks:i},m=>{let r=t.get("picture");r!==l&&r?.byteLength&&(URL.revokeObjectURL(a),a=URL.createObjectURL(new Blob([r],{type:"image/png"})),l=r);let[g,u]=t.get("size");return d`<div class="lk-screen" ?data-large=${s}><div class="lk-dim">${t.get("title")}</div>
      ${a?d`<button aria-label="${s?"smaller":"larger"}: ${t.get("title")}" aria-pressed=${String(s)}
        @click=${()=>{s=!s,p.redraw()}}><img src=${a} alt="what the screen shows, ${g} by ${u} pixels"></button>`:h}
      ${t.get("note")||m?d`<div class="lk-dim">${t.get("note")||"the kernel was restarted"}</div>`:h}</div>`}),o=new IntersectionObserver(([m])=>{n=m.isIntersecting});o.observe(e);let k=setInterval(()=>{n&&!document.hidden&&!p.lost()&&t.send({ask:"picture"})},2e3);return()=>{clearInterval(k),o.disconnect(),URL.revokeObjectURL(a),p()}}export{Ae as card,_e as form,Pe as host,Me as migration,Se as monitor,Sn as progress,Hn as screen,Oe as table,qe as topology};
