"""A report as one HTML file: no network, no fonts of its own, light and dark, phone and print."""

from collections.abc import Mapping, Sequence
from html import escape

from cnnsearch.report.sections import Section, Table

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#59626d;--line:#d5dae0;
--grid:#e4e8ec;--sheet:#f6f8fa;--accent:#0b62a4}
@media(prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ed;--soft:#a3adb8;--line:#333a43;
--grid:#2a3038;--sheet:#1c2127;--accent:#7cc0f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:54rem;margin:0 auto;padding:2rem 1.1rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.15rem;margin:2.6rem 0 .5rem;padding-top:.7rem;border-top:1px solid var(--line)}
.lead{color:var(--soft);margin:0 0 1.2rem}
.key{display:grid;
grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.7rem;margin:1.2rem 0}
.key div{background:var(--sheet);
border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.key b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
.key span{color:var(--soft);font-size:.82rem}
p{margin:.5rem 0;overflow-wrap:anywhere}
figure{margin:1rem 0;color:var(--ink)}
figure{overflow-x:auto}
figure svg{width:100%;min-width:33rem;height:auto;display:block}
figure.card{background:#fff;color:#1b1f24;
border:1px solid var(--line);border-radius:.5rem;padding:.6rem;
overflow-x:auto}
figure.card svg{min-width:34rem;max-height:70rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums;min-width:60%}
th,td{padding:.32rem .7rem .32rem 0;text-align:left;border-bottom:1px solid var(--line);
vertical-align:top}
th{font-weight:600;color:var(--soft);white-space:nowrap}
th button{all:unset;cursor:pointer}
th button:focus-visible{outline:2px solid var(--accent)}
.n{text-align:right}
td:last-child{overflow-wrap:anywhere}
pre{background:var(--sheet);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem;
overflow-x:auto;font-size:.85rem}
.tip{position:fixed;z-index:9;max-width:20rem;padding:.45rem .65rem;background:var(--ink);
color:var(--paper);border-radius:.4rem;font-size:.8rem;line-height:1.4;white-space:pre-line;
overflow-wrap:anywhere;pointer-events:none}
[data-tip]{cursor:pointer}
figure:focus-visible,.scroll:focus-visible{outline:2px solid var(--accent)}
@media(max-width:36rem){figure::after{content:"scroll sideways for the rest →";position:sticky;
left:0;display:block;width:max-content;color:var(--soft);font-size:.78rem}
figure.card::after{color:#59626d}}
footer{color:var(--soft);font-size:.82rem;margin-top:3rem}
svg g:hover>path,svg g:hover use{stroke-width:2}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--grid:#ddd;--sheet:#fff}
main{max-width:none;padding:0}h2{break-after:avoid}figure svg{min-width:0}
figure,tr,.key div{break-inside:avoid}.tip,figure::after{display:none}
pre{white-space:pre-wrap;overflow-wrap:anywhere}}
"""
SCRIPT = """
document.querySelectorAll('table.sort').forEach(function(table){
 table.querySelectorAll('th').forEach(function(th,i){
  var b=document.createElement('button');b.textContent=th.textContent;b.title='sort';
  th.textContent='';th.appendChild(b);var up=false;
  b.addEventListener('click',function(){up=!up;var body=table.tBodies[0];
   var unit={K:1e3,M:1e6,G:1e9};
   function value(r){var t=r.cells[i].textContent.trim();
    var m=t.match(/^([0-9.,]+)(?::([0-9]+))?\\s*([KMG%]?)/);if(!m)return t;
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
function told(e){
 for(var r of [0,4,9])for(var a=0;a<(r?8:1);a++){
  var at=document.elementFromPoint(e.clientX+r*Math.cos(a*.785),e.clientY+r*Math.sin(a*.785));
  var found=at&&at.closest&&at.closest('[data-tip]');if(found)return found;}
 return null;}
function show(e){var found=told(e);tip.hidden=!found;if(!found)return;
 tip.textContent=found.getAttribute('data-tip');
 var x=e.clientX+14,y=e.clientY+14;
 if(x+tip.offsetWidth>innerWidth-8)x=Math.max(8,innerWidth-8-tip.offsetWidth);
 if(y+tip.offsetHeight>innerHeight-8)y=Math.max(8,e.clientY-14-tip.offsetHeight);
 tip.style.left=x+'px';tip.style.top=y+'px';}
document.querySelectorAll('figure').forEach(function(f){
 f.addEventListener('pointermove',show);f.addEventListener('pointerdown',show);
 f.addEventListener('pointerleave',function(e){if(e.pointerType==='mouse')tip.hidden=true;});});
addEventListener('scroll',function(){tip.hidden=true;},true);
"""


def page(
    title: str,
    lead: str,
    key: Sequence[tuple[str, str]],
    parts: Sequence[Section],
    figures: Mapping[str, str],
) -> str:
    """Returns the page.

    Args:
        title: its heading.
        lead: a line under it.
        key: the figures that matter, each with what it is.
        parts: the sections.
        figures: SVG by name; a section whose figure is empty does without.
    """
    cards = "".join(f"<div><b>{escape(v)}</b><span>{escape(k)}</span></div>" for k, v in key)
    body = "\n".join(_section(part, figures) for part in parts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="cnnsearch">
<title>{escape(title)}</title><style>{STYLE}</style></head>
<body><main><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>
<div class="key">{cards}</div>
{body}
<footer>Written by cnnsearch from the run's own records; nothing in this file is loaded from a
network.</footer></main><script>{SCRIPT}</script></body></html>
"""


def _section(part: Section, figures: Mapping[str, str]) -> str:
    found = [f"<section><h2>{escape(part.title)}</h2>"]
    found += [f"<p>{escape(text)}</p>" for text in part.paragraphs if text.strip()]
    picture = figures.get(part.figure, "")
    if picture:
        card = ' class="card"' if part.figure == "architecture" else ""
        found.append(f"<figure{card} tabindex=0>{picture}</figure>")
    if part.table:
        found.append(_table(part.table))
    if part.code:
        found.append(f"<pre><code>{escape(part.code)}</code></pre>")
    return "\n".join([*found, "</section>"])


def _table(table: Table) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        scope = " scope=col" if tag == "th" else ""
        return "".join(
            f"<{tag}{scope}{' class=n' if i in table.numeric else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(row)
        )

    sort = ' class="sort"' if len(table.rows) > 2 and table.numeric else ""
    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    head = f"<thead><tr>{cells(table.head, 'th')}</tr></thead>"
    return (
        f'<div class="scroll" tabindex=0><table{sort}>{head}<tbody>\n{body}\n</tbody></table></div>'
    )
