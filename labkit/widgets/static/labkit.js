var Tt=globalThis,Pt=t=>t,$t=Tt.trustedTypes,Rt=$t?$t.createPolicy("lit-html",{createHTML:t=>t}):void 0,St="$lit$",I=`lit$${Math.random().toFixed(9).slice(2)}$`,Ht="?"+I,me=`<${Ht}>`,K=document,ot=()=>K.createComment(""),lt=t=>t===null||typeof t!="object"&&typeof t!="function",Ct=Array.isArray,Vt=t=>Ct(t)||typeof t?.[Symbol.iterator]=="function",Mt=`[ 	
\f\r]`,at=/<(?:(!--|\/[^a-zA-Z])|(\/?[a-zA-Z][^>\s]*)|(\/?$))/g,Et=/-->/g,Bt=/>/g,W=RegExp(`>|${Mt}(?:([^\\s"'>=/]+)(${Mt}*=${Mt}*(?:[^ 	
\f\r"'\`<>=]|("|')|))|$)`,"g"),It=/'/g,Dt=/"/g,qt=/^(?:script|style|textarea|title)$/i,zt=t=>(e,...i)=>({_$litType$:t,strings:e,values:i}),d=zt(1),nt=zt(2),Fe=zt(3),D=Symbol.for("lit-noChange"),g=Symbol.for("lit-nothing"),Ut=new WeakMap,Y=K.createTreeWalker(K,129);function Ft(t,e){if(!Ct(t)||!t.hasOwnProperty("raw"))throw Error("invalid template strings array");return Rt!==void 0?Rt.createHTML(e):e}var Wt=(t,e)=>{let i=t.length-1,s=[],n,a=e===2?"<svg>":e===3?"<math>":"",l=at;for(let $=0;$<i;$++){let o=t[$],m,b,r=-1,f=0;for(;f<o.length&&(l.lastIndex=f,b=l.exec(o),b!==null);)f=l.lastIndex,l===at?b[1]==="!--"?l=Et:b[1]!==void 0?l=Bt:b[2]!==void 0?(qt.test(b[2])&&(n=RegExp("</"+b[2],"g")),l=W):b[3]!==void 0&&(l=W):l===W?b[0]===">"?(l=n??at,r=-1):b[1]===void 0?r=-2:(r=l.lastIndex-b[2].length,m=b[1],l=b[3]===void 0?W:b[3]==='"'?Dt:It):l===Dt||l===It?l=W:l===Et||l===Bt?l=at:(l=W,n=void 0);let h=l===W&&t[$+1].startsWith("/>")?" ":"";a+=l===at?o+me:r>=0?(s.push(m),o.slice(0,r)+St+o.slice(r)+I+h):o+I+(r===-2?$:h)}return[Ft(t,a+(t[i]||"<?>")+(e===2?"</svg>":e===3?"</math>":"")),s]},ct=class t{constructor({strings:e,_$litType$:i},s){let n;this.parts=[];let a=0,l=0,$=e.length-1,o=this.parts,[m,b]=Wt(e,i);if(this.el=t.createElement(m,s),Y.currentNode=this.el.content,i===2||i===3){let r=this.el.content.firstChild;r.replaceWith(...r.childNodes)}for(;(n=Y.nextNode())!==null&&o.length<$;){if(n.nodeType===1){if(n.hasAttributes())for(let r of n.getAttributeNames())if(r.endsWith(St)){let f=b[l++],h=n.getAttribute(r).split(I),y=/([.?@])?(.*)/.exec(f);o.push({type:1,index:a,name:y[2],strings:h,ctor:y[1]==="."?gt:y[1]==="?"?mt:y[1]==="@"?ft:X}),n.removeAttribute(r)}else r.startsWith(I)&&(o.push({type:6,index:a}),n.removeAttribute(r));if(qt.test(n.tagName)){let r=n.textContent.split(I),f=r.length-1;if(f>0){n.textContent=$t?$t.emptyScript:"";for(let h=0;h<f;h++)n.append(r[h],ot()),Y.nextNode(),o.push({type:2,index:++a});n.append(r[f],ot())}}}else if(n.nodeType===8)if(n.data===Ht)o.push({type:2,index:a});else{let r=-1;for(;(r=n.data.indexOf(I,r+1))!==-1;)o.push({type:7,index:a}),r+=I.length-1}a++}}static createElement(e,i){let s=K.createElement("template");return s.innerHTML=e,s}};function G(t,e,i=t,s){if(e===D)return e;let n=s!==void 0?i._$Co?.[s]:i._$Cl,a=lt(e)?void 0:e._$litDirective$;return n?.constructor!==a&&(n?._$AO?.(!1),a===void 0?n=void 0:(n=new a(t),n._$AT(t,i,s)),s!==void 0?(i._$Co??=[])[s]=n:i._$Cl=n),n!==void 0&&(e=G(t,n._$AS(t,e.values),n,s)),e}var kt=class{constructor(e,i){this._$AV=[],this._$AN=void 0,this._$AD=e,this._$AM=i}get parentNode(){return this._$AM.parentNode}get _$AU(){return this._$AM._$AU}u(e){let{el:{content:i},parts:s}=this._$AD,n=(e?.creationScope??K).importNode(i,!0);Y.currentNode=n;let a=Y.nextNode(),l=0,$=0,o=s[0];for(;o!==void 0;){if(l===o.index){let m;o.type===2?m=new et(a,a.nextSibling,this,e):o.type===1?m=new o.ctor(a,o.name,o.strings,this,e):o.type===6&&(m=new bt(a,this,e)),this._$AV.push(m),o=s[++$]}l!==o?.index&&(a=Y.nextNode(),l++)}return Y.currentNode=K,n}p(e){let i=0;for(let s of this._$AV)s!==void 0&&(s.strings!==void 0?(s._$AI(e,s,i),i+=s.strings.length-2):s._$AI(e[i])),i++}},et=class t{get _$AU(){return this._$AM?._$AU??this._$Cv}constructor(e,i,s,n){this.type=2,this._$AH=g,this._$AN=void 0,this._$AA=e,this._$AB=i,this._$AM=s,this.options=n,this._$Cv=n?.isConnected??!0}get parentNode(){let e=this._$AA.parentNode,i=this._$AM;return i!==void 0&&e?.nodeType===11&&(e=i.parentNode),e}get startNode(){return this._$AA}get endNode(){return this._$AB}_$AI(e,i=this){e=G(this,e,i),lt(e)?e===g||e==null||e===""?(this._$AH!==g&&this._$AR(),this._$AH=g):e!==this._$AH&&e!==D&&this._(e):e._$litType$!==void 0?this.$(e):e.nodeType!==void 0?this.T(e):Vt(e)?this.k(e):this._(e)}O(e){return this._$AA.parentNode.insertBefore(e,this._$AB)}T(e){this._$AH!==e&&(this._$AR(),this._$AH=this.O(e))}_(e){this._$AH!==g&&lt(this._$AH)?this._$AA.nextSibling.data=e:this.T(K.createTextNode(e)),this._$AH=e}$(e){let{values:i,_$litType$:s}=e,n=typeof s=="number"?this._$AC(e):(s.el===void 0&&(s.el=ct.createElement(Ft(s.h,s.h[0]),this.options)),s);if(this._$AH?._$AD===n)this._$AH.p(i);else{let a=new kt(n,this),l=a.u(this.options);a.p(i),this.T(l),this._$AH=a}}_$AC(e){let i=Ut.get(e.strings);return i===void 0&&Ut.set(e.strings,i=new ct(e)),i}k(e){Ct(this._$AH)||(this._$AH=[],this._$AR());let i=this._$AH,s,n=0;for(let a of e)n===i.length?i.push(s=new t(this.O(ot()),this.O(ot()),this,this.options)):s=i[n],s._$AI(a),n++;n<i.length&&(this._$AR(s&&s._$AB.nextSibling,n),i.length=n)}_$AR(e=this._$AA.nextSibling,i){for(this._$AP?.(!1,!0,i);e!==this._$AB;){let s=Pt(e).nextSibling;Pt(e).remove(),e=s}}setConnected(e){this._$AM===void 0&&(this._$Cv=e,this._$AP?.(e))}},X=class{get tagName(){return this.element.tagName}get _$AU(){return this._$AM._$AU}constructor(e,i,s,n,a){this.type=1,this._$AH=g,this._$AN=void 0,this.element=e,this.name=i,this._$AM=n,this.options=a,s.length>2||s[0]!==""||s[1]!==""?(this._$AH=Array(s.length-1).fill(new String),this.strings=s):this._$AH=g}_$AI(e,i=this,s,n){let a=this.strings,l=!1;if(a===void 0)e=G(this,e,i,0),l=!lt(e)||e!==this._$AH&&e!==D,l&&(this._$AH=e);else{let $=e,o,m;for(e=a[0],o=0;o<a.length-1;o++)m=G(this,$[s+o],i,o),m===D&&(m=this._$AH[o]),l||=!lt(m)||m!==this._$AH[o],m===g?e=g:e!==g&&(e+=(m??"")+a[o+1]),this._$AH[o]=m}l&&!n&&this.j(e)}j(e){e===g?this.element.removeAttribute(this.name):this.element.setAttribute(this.name,e??"")}},gt=class extends X{constructor(){super(...arguments),this.type=3}j(e){this.element[this.name]=e===g?void 0:e}},mt=class extends X{constructor(){super(...arguments),this.type=4}j(e){this.element.toggleAttribute(this.name,!!e&&e!==g)}},ft=class extends X{constructor(e,i,s,n,a){super(e,i,s,n,a),this.type=5}_$AI(e,i=this){if((e=G(this,e,i,0)??g)===D)return;let s=this._$AH,n=e===g&&s!==g||e.capture!==s.capture||e.once!==s.once||e.passive!==s.passive,a=e!==g&&(s===g||n);n&&this.element.removeEventListener(this.name,this,s),a&&this.element.addEventListener(this.name,this,e),this._$AH=e}handleEvent(e){typeof this._$AH=="function"?this._$AH.call(this.options?.host??this.element,e):this._$AH.handleEvent(e)}},bt=class{constructor(e,i,s){this.element=e,this.type=6,this._$AN=void 0,this._$AM=i,this.options=s}get _$AU(){return this._$AM._$AU}_$AI(e){G(this,e)}},Yt={M:St,P:I,A:Ht,C:1,L:Wt,R:kt,D:Vt,V:G,I:et,H:X,N:mt,U:ft,B:gt,F:bt},fe=Tt.litHtmlPolyfillSupport;fe?.(ct,et),(Tt.litHtmlVersions??=[]).push("3.3.3");var Kt=(t,e,i)=>{let s=i?.renderBefore??e,n=s._$litPart$;if(n===void 0){let a=i?.renderBefore??null;s._$litPart$=n=new et(e.insertBefore(ot(),a),a,void 0,i??{})}return n._$AI(t),n};var Gt=`.lk {
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
.lk-controls { display: flex; flex-wrap: wrap; gap: 6px 12px; align-items: center; }
.lk button.lk-wide { min-width: 6.6em; }
.lk-group { display: inline-flex; }
.lk .lk-group button { border-radius: 0; margin-left: -1px; }
.lk .lk-group button:first-child { border-radius: 4px 0 0 4px; margin-left: 0; }
.lk .lk-group button:last-child { border-radius: 0 4px 4px 0; }
.lk .lk-group button[aria-pressed="true"] { background: var(--lk-back); border-color: var(--lk-main); box-shadow: inset 0 0 0 1px var(--lk-main); font-weight: 600; z-index: 1; }
.lk-drop { position: relative; }
.lk-drop > summary { cursor: pointer; font-size: 12px; line-height: 1.4; padding: 2px 9px; border-radius: 4px; background: var(--lk-soft); border: 1px solid var(--lk-line); user-select: none; }
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
.lk-plots { min-height: 160px; margin: 0; }
.lk-plots .js-plotly-plot text { fill: var(--lk-dim) !important; }
.lk-plots .js-plotly-plot .annotation text { fill: var(--lk-text) !important; }
.lk-plots .js-plotly-plot .gridlayer path { stroke: var(--lk-line) !important; stroke-opacity: 1 !important; }
.lk-plots .js-plotly-plot .hoverlayer text { fill: var(--lk-text) !important; }
.lk-plots .js-plotly-plot .hoverlayer .legend .bg { fill: var(--lk-back) !important; stroke: var(--lk-dim) !important; fill-opacity: 0.95 !important; }
.lk-sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) { .lk-bar > div { background: Highlight; } }
`;function ve(t,e){let i=t.getRootNode(),s=i instanceof ShadowRoot?i:document.head;if(!s.querySelector("style[data-labkit]")){let n=document.createElement("style");n.dataset.labkit="",n.textContent=`${e.palette}
${Gt}`,s.append(n)}}var Q=globalThis.labkitTwins??=new Map;function xe(t){if(!t)return()=>{};let e=()=>{let i=document.head.querySelector("style[data-labkit-twins]");i||(i=document.createElement("style"),i.dataset.labkitTwins="",document.head.append(i)),i.textContent=[...Q.keys()].map(s=>`[data-lk-twin="${s}"], .jp-OutputArea-child:has([data-lk-twin="${s}"]) { display: none; }`).join(`
`)};return Q.set(t,(Q.get(t)??0)+1),e(),()=>{Q.set(t,Q.get(t)-1),Q.get(t)||Q.delete(t),e()}}function ye(t){return t.comm_live===!1||t.comm?.jsServicesComm?.isDisposed===!0}function O({model:t,el:e,looks:i},s,n=()=>{}){ve(e,i),e.classList.add("lk");let a=!1,l=0,$=()=>{l=0,Kt(s(a),e),n(e)},o=()=>{l||=requestAnimationFrame($)},m=setInterval(async()=>{let f=await t.widget_manager.get_model(t.get("own"));a!==ye(f)&&(a=!a,o())},1e3);t.on("change",o);let b=xe(t.get("twin"));$();let r=()=>{cancelAnimationFrame(l),t.off("change",o),clearInterval(m),b()};return r.redraw=o,r.lost=()=>a,r}var E="The kernel was restarted: this is how it was. Run the cell again to have it live.";function Z(t,e,i=e){let[s,n]=t.signs[e]??t.signs.unknown;return d`<span class="lk-state" data-state=${e} style="color: var(--lk-${n})"><span class="lk-sign" aria-hidden="true">${s}</span> ${i}</span>`}function U(t,e){let[i,s,n]=t.engines[e];return d`<span class="lk-chip" style="background: ${s}; color: ${n}">${i}</span>`}function V(t){return t==null?d`<span class="lk-bar" aria-hidden="true"><div class="lk-unknown"></div></span>`:d`<span class="lk-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(100*t)} aria-label="progress"><div style="width: ${100*t}%"></div></span>`}function vt([t,e],i){return d`<div class="lk-error" role="alert"><div>${t}${e?d`<br>→ ${e}`:g}</div>
    ${i?d`<button class="lk-plain" aria-label="dismiss the error" title="dismiss" @click=${i}>✕</button>`:g}</div>`}function J(t){return t==null?"":`${(100*t).toPrecision(t>=.995?3:2).replace(/\.0+$/,"")} %`}function Lt(t,e,i,s){if(t.length<2)return g;let[n,a]=[90,18],l=Math.max(e,...t),$=t.map((o,m)=>`${(n-1-(t.length-1-m)*(n-2)/59).toFixed(1)},${(a-1-(a-2)*o/l).toFixed(1)}`).join(" ");return d`<svg width=${n} height=${a} viewBox="0 0 ${n} ${a}" role="img" aria-label=${s}>
    <line x1="0" y1=${a-.5} x2=${n} y2=${a-.5} stroke="var(--lk-line)"></line>
    <polyline points=${$} fill="none" stroke=${i} stroke-width="1.3"></polyline></svg>`}var we={start:"boot it",resume:"let its processors go on",pause:"stop its processors where they are",stop:"shut it down in an orderly way",restart:"shut it down and boot it again",kill:"switch it off, as if the power failed",run:"run a command in it",console:"open its console",snapshot:"keep its state under a name",revert:"go back to a snapshot",clone:"make a second one with the same disk",resize:"change memory or processors",limits:"limit its processor time",stats:"show its counters",attach:"connect it to a network",detach:"take it from a network",link:"change its link to a network",migrate:"move it to another host",destroy:"end it and remove all it had"},dt={run:[["command","command","uname -a"]],snapshot:[["name","name","snap-1"]],revert:[["name","snapshot",null]],clone:[["name","name of the clone",""]],migrate:[["to","to host",null]],resize:[["memory","memory",""],["vcpus","processors",""]],limits:[["cpus","processors (empty: no limit)","0.5"]],attach:[["network","network",null],["address","address (empty: the next one)",""]],detach:[["network","network",null]],link:[["network","network",null],["cable","cable (in or out)","in"],["bandwidth","bandwidth (empty: no limit)",""]]};function Ae({model:t,el:e,looks:i}){let s="",n="",a=!1,l=()=>y.redraw();function $(k){if(dt[k]||k==="destroy"){n=n===k?"":k,n&&dt[k]?.some(([,,u])=>u===null)&&t.send({ask:"words",verb:k}),l(),n&&queueMicrotask(()=>requestAnimationFrame(()=>e.querySelector(".lk-ask input, .lk-ask select, .lk-ask button")?.focus()));return}if(k==="stats"){a=!a,l();return}o(k,{})}function o(k,u){s=k==="console"?"":k,n="",t.send({ask:"verb",verb:k,words:u}),l()}function m(k,u,p){let H=u.doing&&(s===k||u.doing.split(" ")[0]===k),w=p||!u.fit.includes(k)&&k!=="console"||!!u.ended,C=p?"the kernel was restarted":u.doing?`it is busy: ${u.doing}`:`not while it is ${u.state}`;return d`<button class=${k==="destroy"?"lk-danger":""} aria-disabled=${w?"true":"false"} ?data-busy=${H}
      title=${w?C:we[k]} data-verb=${k}
      aria-expanded=${dt[k]||k==="destroy"?String(n===k):g}
      @click=${()=>w||$(k)}>${k}${H?" …":""}</button>`}function b(k){if(!n)return g;if(n==="destroy")return d`<div class="lk-ask" role="group" aria-label="destroy ${k}?">Destroy ${k} and all it has?
        <button class="lk-danger" @click=${()=>o("destroy",{})}>Destroy</button>
        <button @click=${()=>{n="",l()}}>Keep it</button></div>`;let u=t.get("asking"),p=u.verb===n?u.names:[];return d`<form class="lk-ask" @submit=${w=>{w.preventDefault(),o(n,Object.fromEntries(new FormData(w.target)))}} @keydown=${w=>{w.key==="Escape"&&(n="",l()),w.stopPropagation()}}>
      ${dt[n].map(([w,C,T])=>d`<label>${C}
        ${T===null?d`<select name=${w}>${p.map(S=>d`<option>${S}</option>`)}</select>`:d`<input type="text" name=${w} value=${T} autocomplete="off" spellcheck="false">`}</label>`)}
      ${dt[n][0][2]===null&&!p.length?d`<span class="lk-dim">there is none</span>`:d`<button type="submit">${n}</button>`}
      <button type="button" @click=${()=>{n="",l()}}>cancel</button></form>`}function r(k,u){return!u.length||k.cpu===null?g:d`<dt>in use</dt><dd class="lk-use">
      <span title="processor time, where 100 % is one processor; the line is the last two minutes">${J(k.cpu)}
        ${Lt(u.map(([p])=>p),1,"var(--lk-busy)",`processor use, now ${J(k.cpu)}`)}</span>
      <span title="memory of the host that it holds; the line is the last two minutes">${k.memory}
        ${Lt(u.map(([,p])=>p),1,"var(--lk-paused)",`memory held, now ${k.memory}`)}</span></dd>`}function f(k){let u=t.get("fixed"),p=t.get("now"),H=t.get("usage"),w=t.get("result");p.doing||(s="");let C=Object.entries(u.absent),T=C.map(([S,N])=>`${S}: ${N}`).join(`
`);return d`<div class="lk-box" role="group" aria-label="machine ${u.name}, ${p.ended||p.state}">
      <div class="lk-head">${U(i,u.engine)}<span class="lk-name">${u.name}</span>
        <span class="lk-dim">on ${p.host}</span>
        <span class="lk-right" aria-live="polite">${p.ended?d`<span class="lk-dim">${p.ended}</span>`:Z(i,p.state)}</span></div>
      <dl class="lk-facts">
        ${u.facts.map(([S,N])=>d`<dt>${S}</dt><dd>${N}</dd>`)}
        ${p.networks.map(([S,N,j,P])=>d`<dt>${S}</dt><dd>${N} <span class="lk-dim">(${j})${P==="up"?"":d` · ${P}`}</span></dd>`)}
        ${a||!p.ended?r(p,H):g}
      </dl>
      ${p.ended?g:d`<div class="lk-verbs" role="toolbar" aria-label="verbs of ${u.name}">
        ${u.verbs.filter(S=>S!=="stats").map(S=>m(S,p,k))}
        ${C.length?d`<span class="lk-absent" tabindex="0" role="note" title=${T} aria-label="not possible here: ${T}">not here: ${C.map(([S])=>S).join(", ")}</span>`:g}</div>`}
      ${p.doing?d`<div class="lk-doing" role="status">${V(p.fraction)} ${p.doing}${p.fraction===null?"":` ${Math.round(100*p.fraction)} %`}
        ${p.can_cancel?d`<button aria-disabled=${String(k)} title="take it back: the machine goes on where it was"
          @click=${()=>k||t.send({ask:"cancel"})}>Cancel</button>`:g}</div>`:g}
      ${p.ended||k?g:b(u.name)}
      ${p.error.length?vt(p.error,k?null:()=>t.send({ask:"dismiss"})):g}
      ${w.command?d`<div class="lk-dim" style="margin-top: 6px"><code>${w.command}</code>
        ${w.exit_code?d`· ${Z(i,"failed",`exit code ${w.exit_code}`)}`:g}
        <button class="lk-plain" aria-label="dismiss the output" @click=${()=>t.send({ask:"dismiss"})}>✕</button></div><pre>${w.text}</pre>`:g}
      ${k?d`<div class="lk-dim" style="margin-top: 6px">${E}</div>`:g}
      <div class="lk-slot"></div>
    </div>`}let h=tt(t,e,"terminal"),y=O({model:t,el:e,looks:i},f,h);return y}function tt(t,e,i){let s="";return async()=>{let n=t.get(i);if(n===s)return;s=n;let a=e.querySelector(".lk-slot");if(a.replaceChildren(),a.style.marginTop=n?"10px":"0",!n)return;let l=await t.widget_manager.get_model(n),$=await t.widget_manager.create_view(l);if(s!==n)return;let o=$.luminoWidget?.node??$.el;a.append(o)}}function _e({model:t,el:e,looks:i}){let s=(o,m)=>t.send({ask:"change",name:o,value:m});function n(o,m,b){let r=t.get("values")[o.name],f=t.get("errors")[o.name],h={id:m,wrong:f?"true":"false",about:`${m}-about`};return o.kind==="check"?d`<input type="checkbox" id=${m} .checked=${r} ?disabled=${b} aria-describedby=${h.about} @change=${y=>s(o.name,y.target.checked)}>`:o.kind==="many"?o.choices.length?d`<span role="group" id=${m}>${o.choices.map(y=>d`<label style="margin-right: 12px">
        <input type="checkbox" .checked=${r.includes(y)} ?disabled=${b}
          @change=${k=>s(o.name,k.target.checked?[...r,y]:r.filter(u=>u!==y))}> ${y}</label>`)}</span>`:d`<span class="lk-dim" id=${m}>there are none yet</span>`:d`<input type="text" id=${m} .value=${String(r)} ?disabled=${b} autocomplete="off" spellcheck="false"
      inputmode=${o.kind==="number"?"numeric":g} aria-invalid=${h.wrong} aria-describedby=${h.about}
      @input=${y=>s(o.name,y.target.value)}>`}let a=`lk${Math.random().toString(36).slice(2)}`,l=tt(t,e,"card");return O({model:t,el:e,looks:i},o=>{let m=t.get("errors"),b=t.get("busy"),r=o||!!b||Object.keys(m).length>0;return d`<form class="lk-box" @submit=${h=>{h.preventDefault(),r||t.send({ask:"create"})}} @keydown=${h=>h.stopPropagation()} aria-label=${t.get("title")}>
      <div class="lk-head">${U(i,t.get("engine_kind"))}<span class="lk-name">${t.get("title")}</span></div>
      <div class="lk-fields">${t.get("fields").map(h=>d`<label for="${a}-${h.name}">${h.label}</label>
        ${n(h,`${a}-${h.name}`,o||!!b)}
        <span id="${a}-${h.name}-about" class=${m[h.name]?"lk-wrong":"lk-help"}>${m[h.name]?`✖ ${m[h.name]}`:h.help}</span>`)}</div>
      <div class="lk-dim">In Python this is</div>
      <pre>${t.get("code")||"(when all fields are right)"}</pre>
      <div class="lk-verbs"><button type="submit" class="lk-main" aria-disabled=${r?"true":"false"}>Create</button>
        ${b?d`<span class="lk-doing" role="status" style="margin: 0">${V(null)} ${b}</span>`:g}</div>
      ${t.get("failed").length?vt(t.get("failed")):g}
      ${o?d`<div class="lk-dim">${E}</div>`:g}
      <div class="lk-slot"></div></form>`},l)}var xt={ATTRIBUTE:1,CHILD:2,PROPERTY:3,BOOLEAN_ATTRIBUTE:4,EVENT:5,ELEMENT:6},yt=t=>(...e)=>({_$litDirective$:t,values:e}),it=class{constructor(e){}get _$AU(){return this._$AM._$AU}_$AT(e,i,s){this._$Ct=e,this._$AM=i,this._$Ci=s}_$AS(e,i){return this.update(e,i)}update(e,i){return this.render(...i)}};var pt=class extends it{constructor(e){if(super(e),this.it=g,e.type!==xt.CHILD)throw Error(this.constructor.directiveName+"() can only be used in child bindings")}render(e){if(e===g||e==null)return this._t=void 0,this.it=e;if(e===D)return e;if(typeof e!="string")throw Error(this.constructor.directiveName+"() called with a non-string value");if(e===this.it)return this._t;this.it=e;let i=[e];return i.raw=i,this._t={_$litType$:this.constructor.resultType,strings:i,values:[]}}};pt.directiveName="unsafeHTML",pt.resultType=1;var jt=yt(pt);function Me({model:t,el:e,looks:i}){let s=!1,n=0;function a(b){s||b||(s=!0,t.send({ask:"cancel"}),o.redraw())}function l(b,r){if(b.done)return g;let f=r||s||b.late,h=r?"the kernel was restarted":b.late?"it runs at the destination already":"take it back: the machine goes on where it was";return d`<div class="lk-doing" role="status">${V(b.fraction)} <span>${b.doing}</span>
      <button aria-disabled=${String(!!f)} title=${h} @click=${()=>a(f)}>${s?"cancelling …":b.late?"too late to cancel":"Cancel"}</button></div>`}function $(b){let{name:r,engine:f,source:h,destination:y}=t.get("fixed"),k=t.get("now"),[u,p,H]=k.end;return d`<div class="lk-box lk-move" role="group" aria-label="migration of ${r}, ${H}">
      <div class="lk-head">${U(i,f)}<span class="lk-name">${r}</span><span class="lk-dim">${h} → ${y}</span>
        <span class="lk-right" aria-live="polite" style="color: var(--lk-${p})"><span aria-hidden="true">${u}</span> ${H}</span></div>
      ${l(k,b)}
      <div class="lk-picture">${jt(t.get("picture"))}</div>
      ${jt(t.get("outcome"))}
      ${b&&!k.done?d`<div class="lk-dim" style="margin-top: 6px">${E}</div>`:g}</div>`}let o=O({model:t,el:e,looks:i},$),m=new ResizeObserver(([{contentRect:{width:b}}])=>{o.lost()||b<50||Math.abs(b-n)<10||(n=b,t.send({ask:"width",across:b}))});return m.observe(e.querySelector(".lk-picture")),()=>{m.disconnect(),o()}}var Xt=t=>t>=60?`${+(t/60).toPrecision(3)} min`:`${t} s`,Te={solid:"",dash:"6 3",dot:"2 2.5"};function Se({model:t,el:e,looks:i}){let s=0,n=(u,p)=>{h.lost()||t.send({ask:u,...p})};function a(u){let p=t.get("paused");return d`<button aria-disabled=${String(u)} aria-pressed=${String(p)} class="lk-wide"
      title=${p?"let the picture move again":"let the picture stand; readings go on"}
      @click=${()=>{u||n("pause",{paused:!p})}}>${p?"▶ Resume":"❚❚ Pause"}</button>`}function l(u){let p=t.get("window"),H=[...new Set([...t.get("windows"),p])].filter(Boolean).sort((w,C)=>w-C);return d`<span class="lk-group" role="group" aria-label="window">${H.map(w=>d`<button
      aria-disabled=${String(u)} aria-pressed=${String(w===p)} title="show the last ${Xt(w)}"
      @click=${()=>{!u&&w!==p&&n("window",{seconds:w})}}>${Xt(w)}</button>`)}</span>`}function $(u){let p=t.get("metrics"),H=(w,C)=>{let T=C?[...p,w]:p.filter(S=>S!==w);u||n("metrics",{names:T})};return d`<details class="lk-drop"><summary>Metrics: ${p.length}</summary><div class="lk-list" role="group" aria-label="metrics">
      ${t.get("offered").map(([w,C])=>{let T=p.includes(w),S=u||(T?p.length===1:p.length>=8);return d`<label><input type="checkbox" .checked=${T} ?disabled=${S} data-metric=${w}
          @change=${N=>H(w,N.target.checked)}> ${C}</label>`})}</div></details>`}function o(u){let p=t.get("choice"),H=p.filter(([,,j])=>j).map(([j])=>j),w=p.every(([j,,P])=>P===j.includes("/")),C=j=>{u||n("machines",{keys:j})},T=([j,P,R])=>d`<label><input type="checkbox" .checked=${R} ?disabled=${u}
      data-machine=${j} @change=${At=>C(At.target.checked?[...H,j]:H.filter(_t=>_t!==j))}> ${P}</label>`,S=p.filter(([j])=>j.includes("/")),N=p.filter(([j])=>!j.includes("/"));return d`<details class="lk-drop"><summary>Machines: ${w?"all":H.length}</summary>
      <div class="lk-list" role="group" aria-label="machines">
        <div><button @click=${()=>C(null)}>all</button> <button @click=${()=>C([])}>none</button></div>
        ${S.map(T)}${N.length?d`<div class="lk-dim">hosts</div>`:g}${N.map(T)}
      </div></details>`}function m(u){let p=t.get("legend"),H=p.filter(T=>T[5]).map(([T])=>T),w=(T,S)=>n("hide",{keys:S?H.filter(N=>N!==T):[...H,T]}),C=(T,S)=>d`<svg width="18" height="10" viewBox="0 0 18 10" aria-hidden="true"><line
      x1="1" y1="5" x2="17" y2="5" stroke=${T} stroke-width="3" stroke-dasharray=${Te[S]??""}></line></svg>`;return d`<div class="lk-legend" role="group" aria-label="legend">${p.map(([T,S,N,j,P,R])=>T?d`<button class="lk-plain" data-key=${T} ?data-gone=${!!P} aria-pressed=${String(!R)} aria-disabled=${String(u)}
          title=${R?`show ${S} in all plots`:`hide ${S} in all plots`}
          @click=${()=>{u||w(T,R)}}>${C(N,j)} ${S}${P?d` <span class="lk-dim">${P}</span>`:g}</button>`:d`<span class="lk-others">${C(N,j)} ${S}</span>`)}</div>`}function b(u){let p=t.get("ended");return u||p?d`<span class="lk-right" style="color: var(--lk-failed)"><span aria-hidden="true">✖</span> ${u?"the kernel was restarted":p}</span>`:t.get("paused")?d`<span class="lk-right" style="color: var(--lk-paused)"><span aria-hidden="true">❚❚</span> paused</span>`:d`<span class="lk-right" style="color: var(--lk-running)"><span aria-hidden="true">●</span> live</span>`}function r(u){let p=u||!!t.get("ended"),[H,w,C]=t.get("said"),T=u?E:t.get("note");return d`<div class="lk-monitor" role="group" aria-label="monitor of ${t.get("title")}">
      <div class="lk-controls"><span class="lk-name">${t.get("title")}</span>${a(p)}${l(p)}${$(p)}${o(p)}${b(u)}</div>
      <div class="lk-said" role="status">${C?d`<span style="color: var(--lk-${w})"><span aria-hidden="true">${H}</span> ${C}</span>`:g}</div>
      ${T?d`<div class="lk-dim">${T}</div>`:g}
      ${m(p)}
      <div class="lk-slot lk-plots"></div></div>`}let f=tt(t,e,"figure"),h=O({model:t,el:e,looks:i},r,f),y=new ResizeObserver(([{contentRect:{width:u}}])=>{u<50||Math.abs(u-s)<10||(s=u,n("width",{across:u}))});y.observe(e.querySelector(".lk-plots"));let k=u=>{for(let p of e.querySelectorAll("details.lk-drop[open]"))p.contains(u.target)||(p.open=!1)};return document.addEventListener("pointerdown",k),()=>{document.removeEventListener("pointerdown",k),y.disconnect(),h()}}var He={start:"M3 1.5v9l7-4.5z",resume:"M3 1.5v9l7-4.5z",pause:"M3 2h2v8H3zM7 2h2v8H7z",stop:"M2.5 2.5h7v7h-7z",restart:"M6 2a4 4 0 1 0 4 4h-1.3A2.7 2.7 0 1 1 6 3.3V5l3-2.4L6 .2z",kill:"M5.3.8h1.4v5H5.3zM3.4 2.3l.8 1.1a3.4 3.4 0 1 0 3.6 0l.8-1.1a4.7 4.7 0 1 1-5.2 0z",destroy:"M2.7 1.8 6 5.1l3.3-3.3.9.9L6.9 6l3.3 3.3-.9.9L6 6.9l-3.3 3.3-.9-.9L5.1 6 1.8 2.7z"},Ce=t=>d`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><path fill="currentColor" d=${He[t]}></path></svg>`,ze=[["name","machine"],["state","state"],["cpu","processor"],["memory","memory"],["addresses","addresses"]],Le={B:1,KiB:1024,MiB:1024**2,GiB:1024**3,TiB:1024**4};function je(t,e){if(e==="cpu")return t.cpu??-1;if(e==="memory"){let[i,s]=t.memory.split(" ");return Number(i||-1)*(Le[s]??1)}return e==="addresses"?t.addresses.map(i=>i.split(".").map(s=>s.padStart(3,"0")).join(".")).join():t[e].replace(/\d+/g,i=>i.padStart(6,"0"))}function Ne(t,[e,i]){let s=t.map(n=>[je(n,e),n]);return s.sort(([n],[a])=>n<a?-1:n>a?1:0),i&&s.reverse(),s.map(([,n])=>n)}function Qt(t,e,i,s,n,a){let l=(r,f)=>t.send({ask:"verb",host:r.host,name:r.name,verb:f});function $(r,f,h){if(!r.verbs.includes(f))return g;let y=h||!r.fit.includes(f),k=s.sure===`${r.host}/${r.name}`;if(f==="destroy"&&k)return d`<button class="lk-danger" @click=${()=>{s.sure="",l(r,f),n()}}>destroy ${r.name}?</button>
        <button @click=${()=>{s.sure="",n()}}>keep</button>`;let u=()=>{y||(f==="destroy"?s.sure=`${r.host}/${r.name}`:l(r,f),n())};return d`<button aria-disabled=${y?"true":"false"} data-verb=${f} aria-label="${f} ${r.name}" title=${f} @click=${u}>${Ce(f)}</button>`}function o(r,f){let h=r.verbs.includes("resume")&&r.state==="paused"?"resume":"pause",y=r.fit.includes("start")||r.state==="stopped"?"start":"stop";return d`<tr class="lk-row" data-machine=${r.name}><td>${U(i,r.engine)} ${r.name}</td>
      <td>${r.doing?Z(i,"starting",`${r.doing}${r.fraction===null?"":` ${Math.round(100*r.fraction)} %`}`):Z(i,r.state)}
        ${r.error.length?d`<span tabindex="0" role="note" title=${r.error.join(`
→ `)} aria-label="last error: ${r.error.join(". ")}">${Z(i,"failed","error")}</span>`:g}</td>
      <td class="lk-number">${J(r.cpu)}</td><td class="lk-number">${r.memory}</td>
      <td class="lk-addresses">${r.addresses.join(", ")}</td>
      <td class="lk-acts">${[h,y,"restart","kill","destroy"].map(k=>$(r,k,f))}</td></tr>`}function m(){return d`<thead><tr>${ze.map(([r,f])=>{let h=s.sort[0]===r;return d`<th scope="col" aria-sort=${h?s.sort[1]?"descending":"ascending":"none"}>
        <button @click=${()=>{s.sort=[r,h&&!s.sort[1]],n()}} title="sort by ${f}">${f} ${h?s.sort[1]?"▾":"▴":""}</button></th>`})}<th scope="col"><span class="lk-sr">verbs</span></th></tr></thead>`}function b(r,f,h){let y=!s.closed.has(r.name),k=()=>{y?s.closed.add(r.name):s.closed.delete(r.name),n()};return d`<tbody>${a?g:d`<tr class="lk-host"><th scope="rowgroup" colspan="2">
        <button class="lk-plain" aria-expanded=${String(y)} aria-label="machines of ${r.name}" @click=${k}>${y?"▾":"▸"}</button>
        <b>${r.name}</b> <span class="lk-dim">${r.address} · ${r.ended?"has ended":r.count===1?"1 machine":`${r.count} machines`}${r.count?`, ${r.running} running`:""}</span></th>
        <td class="lk-number lk-dim">${J(r.cpu)}</td><td class="lk-number lk-dim">${r.memory}</td><td colspan="2"></td></tr>`}
      ${y||a?Ne(f.filter(u=>u.host===r.name),s.sort).map(u=>o(u,h)):g}</tbody>`}return r=>{let f=t.get("rows");return d`<div class="lk-scroll"><table aria-label="machines of ${t.get("title")}">${m()}
      ${t.get("hosts").map(h=>b(h,f,r))}</table></div>`}}function Zt(t,e){let i=t.get("ended");return i||e?d`<div class="lk-dim" style="margin-top: 6px">${i||E}</div>`:g}function Oe({model:t,el:e,looks:i}){let n=Qt(t,e,i,{sort:["name",!1],closed:new Set,sure:""},()=>a.redraw(),!1),a=O({model:t,el:e,looks:i},l=>d`<div style="display: inline-block; max-width: 100%; min-width: min(46em, 100%)">
    <div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">lab</span></div>
    ${t.get("ended")?g:n(l)}
    ${t.get("networks").length&&!t.get("ended")?d`<div class="lk-dim" style="margin-top: 4px">networks: ${t.get("networks").map(([$,o,m,b])=>d`<span title=${b} style="margin-right: 14px">${$} ${m} (${o})</span>`)}</div>`:g}
    ${Zt(t,l)}</div>`);return a}function Pe({model:t,el:e,looks:i}){let n=Qt(t,e,i,{sort:["name",!1],closed:new Set,sure:""},()=>a.redraw(),!0),a=O({model:t,el:e,looks:i},l=>{let[$]=t.get("hosts");return d`<div class="lk-box" role="group" aria-label="host ${$.name}">
      <div class="lk-head"><span class="lk-name">${$.name}</span><span class="lk-dim">host, ${$.provider}</span>
        <span class="lk-right lk-dim">${$.address}</span></div>
      <dl class="lk-facts">${t.get("facts").map(([o,m])=>d`<dt>${o}</dt><dd>${m}</dd>`)}
        <dt>machines</dt><dd>${$.count}${$.count?`, ${$.running} running`:""}${$.cpu===null?"":`, using ${J($.cpu)} of a processor and ${$.memory}`}</dd></dl>
      ${$.count&&!t.get("ended")?d`<div style="margin-top: 8px">${n(l)}</div>`:g}
      ${Zt(t,l)}</div>`});return a}var{I:Re}=Yt,Jt=t=>t;var te=()=>document.createComment(""),st=(t,e,i)=>{let s=t._$AA.parentNode,n=e===void 0?t._$AB:e._$AA;if(i===void 0){let a=s.insertBefore(te(),n),l=s.insertBefore(te(),n);i=new Re(a,l,t,t.options)}else{let a=i._$AB.nextSibling,l=i._$AM,$=l!==t;if($){let o;i._$AQ?.(t),i._$AM=t,i._$AP!==void 0&&(o=t._$AU)!==l._$AU&&i._$AP(o)}if(a!==n||$){let o=i._$AA;for(;o!==a;){let m=Jt(o).nextSibling;Jt(s).insertBefore(o,n),o=m}}}return i},q=(t,e,i=t)=>(t._$AI(e,i),t),Ee={},ee=(t,e=Ee)=>t._$AH=e,ne=t=>t._$AH,wt=t=>{t._$AR(),t._$AA.remove()};var ie=(t,e,i)=>{let s=new Map;for(let n=e;n<=i;n++)s.set(t[n],n);return s},ut=yt(class extends it{constructor(t){if(super(t),t.type!==xt.CHILD)throw Error("repeat() can only be used in text expressions")}dt(t,e,i){let s;i===void 0?i=e:e!==void 0&&(s=e);let n=[],a=[],l=0;for(let $ of t)n[l]=s?s($,l):l,a[l]=i($,l),l++;return{values:a,keys:n}}render(t,e,i){return this.dt(t,e,i).values}update(t,[e,i,s]){let n=ne(t),{values:a,keys:l}=this.dt(e,i,s);if(!Array.isArray(n))return this.ut=l,a;let $=this.ut??=[],o=[],m,b,r=0,f=n.length-1,h=0,y=a.length-1;for(;r<=f&&h<=y;)if(n[r]===null)r++;else if(n[f]===null)f--;else if($[r]===l[h])o[h]=q(n[r],a[h]),r++,h++;else if($[f]===l[y])o[y]=q(n[f],a[y]),f--,y--;else if($[r]===l[y])o[y]=q(n[r],a[y]),st(t,o[y+1],n[r]),r++,y--;else if($[f]===l[h])o[h]=q(n[f],a[h]),st(t,n[r],n[f]),f--,h++;else if(m===void 0&&(m=ie(l,h,y),b=ie($,r,f)),m.has($[r]))if(m.has($[f])){let k=b.get(l[h]),u=k!==void 0?n[k]:null;if(u===null){let p=st(t,n[r]);q(p,a[h]),o[h]=p}else o[h]=q(u,a[h]),st(t,n[r],u),n[k]=null;h++}else wt(n[f]),f--;else wt(n[r]),r++;for(;h<=y;){let k=st(t,o[y+1]);q(k,a[h]),o[h++]=k}for(;r<=f;){let k=n[r++];k!==null&&wt(k)}return this.ut=l,ee(t,o),D}});var[le,ce,Be,se,Ie,Nt]=[15,12,7,12,28,8],De={width:312,height:26},re={ArrowLeft:[-1,0],ArrowRight:[1,0],ArrowUp:[0,-1],ArrowDown:[0,1]},ht=([t,e],{width:i,height:s})=>({left:t-i/2,top:e-s/2,right:t+i/2,bottom:e+s/2}),de=t=>({left:Math.min(...t.map(e=>e.left)),top:Math.min(...t.map(e=>e.top)),right:Math.max(...t.map(e=>e.right)),bottom:Math.max(...t.map(e=>e.bottom))}),pe=(t,e,i,s)=>({left:t.left-e,top:t.top-i,right:t.right+e,bottom:t.bottom+s});function ae(t,e,i){let s=t.inside.filter(n=>i[n]).map(n=>ht(i[n],e.get(n)));return pe(de(s.length?s:[ht(i[t.id],De)]),se,Ie,se)}function Ue(t,e,i){let s=new Set(e.networks.filter(l=>l.own).map(l=>l.id)),n=e.links.filter(l=>l.machine===t.id&&!s.has(l.network)).map(l=>l.network),a=n.length?n:e.networks.filter(l=>!l.own).map(l=>l.id);return!a.length||i[t.id][0]<=a.reduce((l,$)=>l+i[$][0],0)/a.length}function Ve(t,e,i){let s=t.links.map(n=>{let a=e.get(n.machine),[l,$]=i[n.machine],o=i[n.network][0]>=l?1:-1,m=n.row<0?$:$-a.height/2+ce+le*n.row;return{link:n,side:o,x:l+o*a.width/2,y:m}});for(let n of t.networks)for(let a of[-1,1]){let l=s.filter(o=>o.link.network===n.id&&o.side===a);l.sort((o,m)=>o.y-m.y);let $=Math.min(Be,(n.height-12)/Math.max(1,l.length-1));l.forEach((o,m)=>{o.toX=i[n.id][0]-a*n.width/2,o.toY=i[n.id][1]+$*(m-(l.length-1)/2)})}return s}function oe({x:t,y:e,toX:i,toY:s,side:n}){let a=n*Math.max(24,Math.abs(i-t)/2);return`M${t} ${e}C${t+a} ${e} ${i-a} ${s} ${i} ${s}`}function qe({model:t,el:e,looks:i}){let s=null,n=null,a="",l=[],$="",o=()=>rt.redraw(),m=c=>new Map([...c.machines,...c.networks].map(x=>[x.id,x]));function b(c,x){let v=`${t.get("arranged")} ${c.machines.map(A=>A.id).sort().join(" ")}`;if(v!==$){let A=new Map(c.hosts.flatMap((_,L)=>_.inside.map(z=>[z,L])));l=c.machines.map(_=>_.id),l.sort((_,L)=>A.get(_)-A.get(L)||x[_][1]-x[L][1]),$=v}return[...c.machines].sort((A,_)=>l.indexOf(A.id)-l.indexOf(_.id))}function r(){let c=t.get("places");if(!n?.ids.length||!n.moved)return c;let x={...c};for(let v of n.ids)c[v]&&(x[v]=[c[v][0]+n.by[0],c[v][1]+n.by[1]]);return x}function f(c,x,v){let A=[...c.networks.map(M=>ht(v[M.id],M)),...c.hosts.map(M=>ae(M,x,v))],{left:_,top:L,right:z,bottom:B}=pe(A.length?de(A):{left:0,top:0,right:300,bottom:40},Nt,Nt,Nt);return[_,L,z-_,B-L]}function h(c){let x=new DOMPoint(c.clientX,c.clientY).matrixTransform(e.querySelector(".lk-topo").getScreenCTM().inverse());return[x.x,x.y]}function y(c,x){let v={...t.get("places")},A={};for(let _ of c)v[_]&&(A[_]=v[_]=[Math.round(v[_][0]+x[0]),Math.round(v[_][1]+x[1])]);t.set("places",v),t.send({ask:"move",places:A}),o()}function k(c,x){let[v,A,_,L]=p(),[z,B]=x??[v+_/2,A+L/2],M=Math.min(8,Math.max(.1,c*(_/u[2])))/(_/u[2]);s=[z-(z-v)*M,B-(B-A)*M,_*M,L*M],o()}let u=[0,0,300,40],p=()=>s??u,H=c=>rt.lost()||t.send({ask:"open",machine:c});function w(c,x,v){c.button!==0||n||(c.stopPropagation(),e.querySelector(".lk-topo").setPointerCapture(c.pointerId),n={ids:rt.lost()?[]:x,id:v,from:h(c),by:[0,0],at:[c.clientX,c.clientY],moved:!1,view:p(),pan:!x.length})}function C(c){if(!n||!n.moved&&Math.hypot(c.clientX-n.at[0],c.clientY-n.at[1])<4)return;n.moved=!0;let[x,v]=h(c);if(n.pan){let[A,_,L,z]=p();s=[A+n.from[0]-x,_+n.from[1]-v,L,z]}else n.by=[x-n.from[0],v-n.from[1]];o()}function T(){if(!n)return;let{ids:c,id:x,by:v,moved:A}=n;n=null,A&&c.length?y(c,v):!A&&x&&H(x),o()}function S(){n=null,o()}function N(c){!c.ctrlKey&&!c.metaKey||(c.preventDefault(),k(Math.exp(Math.sign(c.deltaY)*.15),h(c)))}function j(c,x){if(c.key==="Enter"||c.key===" ")H(x);else if(re[c.key]&&!rt.lost())y([x],re[c.key].map(v=>10*v));else return;c.preventDefault(),c.stopPropagation()}let P=c=>c.machine===a||c.network===a,R=c=>{a=n?a:c,o()};function At(c,x,v){let{left:A,top:_,right:L,bottom:z}=ae(c,x,v);return nt`<g class="lk-t-grip" data-host=${c.id} @pointerdown=${B=>w(B,c.inside.length?c.inside:[c.id],"")}>
      <title>${c.title}</title>
      <rect class="lk-t-region" x=${A} y=${_} width=${L-A} height=${z-_} rx="8" stroke-dasharray=${c.ended?"6 4":g}></rect>
      <text class="lk-t-ink" x=${A+12} y=${_+19} font-size="13" font-weight="600">${c.name}<tspan class="lk-t-${c.ended?"failed":"dim"}" dx="10" font-size="10.5" font-weight="400">${c.ended?`${i.signs.failed[0]} `:""}${c.words}</tspan></text></g>`}function _t(c,x){let{link:v}=c;return nt`<g class=${x&&!P(v)?"lk-t-faint":""} data-link="${v.machine} ${v.network}" data-up=${String(v.up)}><title>${v.title}</title>
      <path class=${v.up?`lk-t-net${v.colour}`:"lk-t-down"} d=${oe(c)} fill="none" stroke-width=${P(v)?2.6:1.4}
        stroke-dasharray=${v.up?g:"4 4"}></path><path class="lk-t-wide" d=${oe(c)}></path></g>`}function ue(c,x){let[v,A]=x[c.id],{left:_,top:L}=ht([v,A],c);return nt`<g class="lk-t-grip" data-network=${c.id} role="img" aria-label=${c.title} @pointerenter=${()=>R(c.id)} @pointerleave=${()=>R("")}
      @pointerdown=${z=>w(z,[c.id],"")}><title>${c.title}</title>
      <rect class="lk-t-card lk-t-net${c.colour}" x=${_} y=${L} width=${c.width} height=${c.height} rx="12" stroke-width="2"></rect>
      <text class="lk-t-ink" x=${v} y=${A-3} font-size="12" font-weight="600" text-anchor="middle">${c.name}</text>
      <text class="lk-t-dim" x=${v} y=${A+12} font-size="10.5" text-anchor="middle">${c.words}</text></g>`}function he(c,x,v){let A=ht(v[c.id],c),_=Ue(c,x,v),L=A.left+(_?4:100),z=A.top+ce,[B,M,ke]=c.engine,Ot=t.get("selected")===c.id;return nt`<g class="lk-t-machine" data-machine=${c.id} data-state=${c.state} tabindex="0" role="button" aria-label=${c.title} aria-expanded=${String(Ot)}
      @pointerenter=${()=>R(c.id)} @pointerleave=${()=>R("")} @focus=${()=>R(c.id)} @blur=${()=>R("")}
      @pointerdown=${F=>w(F,[c.id],c.id)} @keydown=${F=>j(F,c.id)}
      @click=${F=>F.detail===0&&H(c.id)}><title>${c.title}</title>
      <rect class="lk-t-card ${Ot?"lk-t-chosen":""}" x=${A.left} y=${A.top} width=${c.width} height=${c.height} rx="4"></rect>
      <rect x=${L} y=${z-7.5} width="42" height="15" rx="3" fill=${M}></rect>
      <text x=${L+21} y=${z+3.5} font-size="9.5" font-weight="600" text-anchor="middle" fill=${ke}>${B}</text>
      <text class="lk-t-${c.colour}" x=${L+54} y=${z+4} font-size="10" text-anchor="middle" aria-hidden="true">${c.sign}</text>
      <text class="lk-t-ink" x=${L+66} y=${z+4} font-size="12">${c.name}</text>
      <text class="lk-t-${c.colour}" x=${A.right-(_?100:6)} y=${z+4} font-size="10.5" text-anchor="end">${c.word}</text>
      ${c.rows.map((F,ge)=>nt`<text class="lk-t-dim" x=${_?A.right-6:A.left+6} y=${z+4+le*ge} font-size="10.5" text-anchor=${_?"end":"start"}>${F}</text>`)}</g>`}function $e(c){let x=t.get("seen"),v=r(),A=m(x);if([...A.keys(),...x.hosts.map(M=>M.id)].some(M=>!v[M]))return d``;n||(u=f(x,A,v));let[,,_,L]=u,z=t.get("ended"),B=x.links.some(P);return d`<div class="lk-head"><span class="lk-name">${t.get("title")}</span><span class="lk-dim">topology</span>
        <span class="lk-right" role="toolbar" aria-label="view of the picture">
          <button aria-label="nearer" title="nearer (Ctrl and the wheel, too)" @click=${()=>k(1/1.25)}>+</button>
          <button aria-label="farther" title="farther" @click=${()=>k(1.25)}>−</button>
          <button title="show all of it" @click=${()=>{s=null,o()}}>fit</button>
          <button aria-disabled=${String(c||!!z)} title="lay everything out anew" @click=${()=>{!c&&!z&&(s=null,t.send({ask:"arrange"}))}}>arrange</button></span></div>
      <svg class="lk-topo" data-lm-suppress-shortcuts="true" role="group" aria-label="topology of ${x.title}" viewBox=${p().join(" ")}
        style="aspect-ratio: ${_} / ${L}; max-width: ${Math.round(1.2*_)}px" ?data-held=${!!n?.moved}
        @pointerdown=${M=>w(M,[],"")} @pointermove=${C} @pointerup=${T} @pointercancel=${S} @wheel=${N}>
        ${ut(x.hosts,M=>M.id,M=>At(M,A,v))}
        ${ut(Ve(x,A,v),({link:M})=>`${M.machine} ${M.network}`,M=>_t(M,B))}
        ${ut(x.networks,M=>M.id,M=>ue(M,v))}
        ${ut(b(x,v),M=>M.id,M=>he(M,x,v))}</svg>
      ${t.get("note")?d`<div class="lk-dim">${t.get("note")}</div>`:g}
      ${z||c?d`<div class="lk-dim" role="status">${z||E}</div>`:g}
      ${t.get("card")?d`<div class="lk-topo-card">${A.get(t.get("selected"))?.name??""}
        <button class="lk-plain" aria-label="close the card" title="close the card" @click=${()=>H("")}>✕</button></div>`:g}
      <div class="lk-slot"></div>`}let rt=O({model:t,el:e,looks:i},$e,tt(t,e,"card"));return rt}function Sn({model:t,el:e,looks:i}){let s=performance.now()-1e3*t.get("elapsed_s"),n=!1,a=O({model:t,el:e,looks:i},$=>{let o=t.get("ended")||($?"the kernel was restarted":""),m=(performance.now()-s)/1e3;return o?(clearInterval(l),d`<div class="lk-dim"><b>${t.get("title")}</b>: ${o}</div>`):d`<div style="display: flex; gap: 10px; align-items: center; flex-wrap: wrap" role="status">
      <b>${t.get("title")}</b> ${V(t.get("fraction"))} <span>${t.get("phase")}</span>
      <span class="lk-dim" style="font-variant-numeric: tabular-nums" aria-hidden="true">${m.toFixed(0)} s</span>
      <button aria-disabled=${String(n)} @click=${()=>{n||(n=!0,t.send({ask:"cancel"}),a.redraw())}}>${n?"cancelling …":"Cancel"}</button></div>`}),l=setInterval(()=>a.redraw(),1e3);return()=>{clearInterval(l),a()}}function Hn({model:t,el:e,looks:i}){let s=!1,n=!1,a="",l=null,$=O({model:t,el:e,looks:i},b=>{let r=t.get("picture");r!==l&&r?.byteLength&&(URL.revokeObjectURL(a),a=URL.createObjectURL(new Blob([r],{type:"image/png"})),l=r);let[f,h]=t.get("size");return d`<div class="lk-screen" ?data-large=${s}><div class="lk-dim">${t.get("title")}</div>
      ${a?d`<button aria-label="${s?"smaller":"larger"}: ${t.get("title")}" aria-pressed=${String(s)}
        @click=${()=>{s=!s,$.redraw()}}><img src=${a} alt="what the screen shows, ${f} by ${h} pixels"></button>`:g}
      ${t.get("note")||b?d`<div class="lk-dim">${t.get("note")||"the kernel was restarted"}</div>`:g}</div>`}),o=new IntersectionObserver(([b])=>{n=b.isIntersecting});o.observe(e);let m=setInterval(()=>{n&&!document.hidden&&!$.lost()&&t.send({ask:"picture"})},2e3);return()=>{clearInterval(m),o.disconnect(),URL.revokeObjectURL(a),$()}}export{Ae as card,_e as form,Pe as host,Me as migration,Se as monitor,Sn as progress,Hn as screen,Oe as table,qe as topology};
