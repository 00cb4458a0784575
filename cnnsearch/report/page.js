document.querySelectorAll('table.sort').forEach(function(table){
 table.querySelectorAll('th').forEach(function(th,i){
  var b=document.createElement('button');b.textContent=th.textContent;b.title='sort';
  th.textContent='';th.appendChild(b);var up=false;
  b.addEventListener('click',function(){up=!up;var body=table.tBodies[0];
   var unit={K:1e3,M:1e6,G:1e9};
   function value(r){var t=r.cells[i].textContent.trim();
    var m=t.match(/^([0-9.,]+)(?::([0-9]+))?\s*([KMG%]?)/);if(!m)return t;
    var v=parseFloat(m[1].replace(/,/g,''))*(unit[m[3]]||1);
    if(m[2])v=v+parseInt(m[2])/60;if(/ min$/.test(t))v*=60;if(/ h$/.test(t))v*=3600;return v;}
   Array.from(body.rows).sort(function(a,b){var x=value(a),y=value(b);
    return (x>y?1:x<y?-1:0)*(up?1:-1);}).forEach(function(r){body.appendChild(r);});
   table.querySelectorAll('th').forEach(function(t){t.removeAttribute('aria-sort');});
   th.setAttribute('aria-sort',up?'ascending':'descending');});});});
var tip=document.createElement('div');tip.className='tip';tip.hidden=true;
document.body.appendChild(tip);
document.querySelectorAll('figure svg g>title').forEach(function(t){
 t.parentNode.setAttribute('data-tip',t.textContent);t.remove();});
function nearest(e){
 for(var r of [0,4,9])for(var a=0;a<(r?8:1);a++){
  var at=document.elementFromPoint(e.clientX+r*Math.cos(a*.785),e.clientY+r*Math.sin(a*.785));
  var found=at&&at.closest&&at.closest('[data-tip]');if(found)return found;}
 return null;}
function show(e){var found=nearest(e);tip.hidden=!found;if(!found)return;
 tip.textContent=found.getAttribute('data-tip');
 var x=e.clientX+14,y=e.clientY+14;
 if(x+tip.offsetWidth>innerWidth-8)x=Math.max(8,innerWidth-8-tip.offsetWidth);
 if(y+tip.offsetHeight>innerHeight-8)y=Math.max(8,e.clientY-14-tip.offsetHeight);
 tip.style.left=x+'px';tip.style.top=y+'px';}
document.querySelectorAll('figure').forEach(function(f){
 f.addEventListener('pointermove',show);f.addEventListener('pointerdown',show);
 f.addEventListener('pointerleave',function(e){if(e.pointerType==='mouse')tip.hidden=true;});});
addEventListener('scroll',function(){tip.hidden=true;},true);
