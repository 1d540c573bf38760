"""The looks of a preview page, in light and in dark."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1c1f23; --soft: #656d76; --paper: #fff; --line: #d8dee4;
  --a: #eff1f4; --b: #d9dee5; --strip: #c3cad2;
  --ya: #b7ebc0; --yb: #93dba2; --ink-y: #0b3014; --strip-y: #4cae62;
  --no: #f3c4bf; --no-b: #eaa9a2; --ink-no: #461310;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e7eb; --soft: #97a1ac; --paper: #14171b; --line: #333a42;
    --a: #23282e; --b: #343b44; --strip: #454d57;
    --ya: #1f4d2b; --yb: #2f6f3f; --ink-y: #d5f7dc; --strip-y: #3fa257;
    --no: #562723; --no-b: #743731; --ink-no: #fbdcd8;
  }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
h3 { font-size: .88rem; margin: 1.2rem 0 .3rem; font-weight: 600; color: var(--soft) }
small { font-weight: normal; color: var(--soft) }
code, pre, .tokens { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
.key, .more, .ledger p { color: var(--soft); margin: .2rem 0; font-size: .88rem }
.ledger { display: flex; flex-wrap: wrap; gap: 1rem 3rem; margin: 1.2rem 0; padding: 1rem;
  border: 1px solid var(--line); border-radius: .5rem }
table { border-collapse: collapse; font-size: .88rem }
th { text-align: left; font-weight: normal; padding: .1rem .8rem .1rem .5rem; vertical-align: top }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.ledger td { text-align: right; color: var(--soft) }
.ledger td:first-child { color: inherit }
.ledger .total > * { font-weight: 600; border-bottom: 1px solid var(--line) }
.settings th { color: var(--soft); padding-left: 0 }
.legend { font-size: .88rem; color: var(--soft) }
.tokens, pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .84rem; line-height: 1.75;
  border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; margin: 0 }
.t { background: var(--a); color: var(--ink); padding: .12em 0; border-radius: .15em;
  box-decoration-break: clone; -webkit-box-decoration-break: clone }
.t:nth-of-type(even) { background: var(--b) }
.t.y { background: var(--ya); color: var(--ink-y) }
.t.y:nth-of-type(even) { background: var(--yb) }
.rejected .t.y { background: var(--no); color: var(--ink-no) }
.rejected .t.y:nth-of-type(even) { background: var(--no-b) }
.t.s { font-weight: 700; text-decoration: underline dotted; text-underline-offset: .2em }
.t:hover { outline: 2px solid var(--soft) }
.strip { display: flex; gap: 3px; height: 1.1rem; margin: .4rem 0 1rem }
.strip b { display: flex; flex: 0 1 0; min-width: 2px; border-radius: 2px; overflow: hidden }
.strip i { flex: 0 1 0; background: var(--strip) }
.strip i.y { background: var(--strip-y) }
.strip .room { border: 1px dashed var(--line) }
"""
