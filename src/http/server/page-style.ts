/** Inline style sheet of the page. Must be constant, because the Content-Security-Policy contains its hash. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --bg: #f6f7f9;
  --card: #ffffff;
  --text: #1b1f26;
  --muted: #57606c;
  --line: #dfe3e8;
  --link: #0b5cad;
  --good: #14713a;
  --bad: #b3261e;
  --bad-bg: #fdecea;
  --warn: #7a4b00;
  --warn-bg: #fff3d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #14171c;
    --card: #1c2027;
    --text: #e6e9ee;
    --muted: #9aa4b2;
    --line: #303743;
    --link: #7fb8f5;
    --good: #5fcf8b;
    --bad: #ff8a80;
    --bad-bg: #3a1d1c;
    --warn: #f3c06b;
    --warn-bg: #38290f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0;
  background: var(--bg);
  color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif;
}
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem 1rem; padding-top: 1.75rem; }
h1 { margin: 0; font-size: 1.5rem; letter-spacing: -.01em; }
h2 { margin: 0 0 .6rem; font-size: 1.05rem; }
p { margin: 0; }
.muted, footer { color: var(--muted); }
.tagline { flex-basis: 100%; }
.state { padding: .1rem .7rem; border: 1px solid currentColor; border-radius: 1rem; font-weight: 600; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.warn { color: var(--warn); }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0 0; padding: 0; list-style: none; }
nav a {
  display: block;
  padding: .4rem .9rem;
  border: 1px solid var(--line);
  border-radius: .5rem;
  background: var(--card);
  text-decoration: none;
}
nav a:hover { border-color: var(--link); text-decoration: underline; }
nav .first a { border-color: var(--link); font-weight: 600; }
.banner, .card { margin: 1rem 0 0; padding: 1rem 1.25rem; border-radius: .6rem; overflow-wrap: anywhere; }
.banner { border: 1px solid currentColor; }
.banner strong { display: block; font-size: 1.1rem; }
.banner span { color: var(--text); }
.banner.warn { background: var(--warn-bg); }
.banner.bad { background: var(--bad-bg); }
.banner.demo { border-width: 3px; }
.banner.demo strong { font-size: 1.4rem; text-transform: uppercase; letter-spacing: .03em; }
.banner ul { margin: .25rem 0 0; padding-left: 1.2rem; color: var(--text); }
.card { border: 1px solid var(--line); background: var(--card); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: .8rem 1.5rem; margin: 0; }
dt { color: var(--muted); font-size: .85rem; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
.scroll:not(:first-child) { margin-top: .5rem; }
table { width: 100%; border-collapse: collapse; }
caption { padding-bottom: .5rem; color: var(--muted); text-align: left; }
th, td { padding: .45rem 1rem .45rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-top: 0; color: var(--muted); font-size: .85rem; font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.wide { min-width: 14rem; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; }
.events { display: block; color: var(--muted); }
details { margin-top: .6rem; }
summary { cursor: pointer; color: var(--link); }
.trace { padding: .45rem 0; border-top: 1px solid var(--line); }
.trace summary { color: var(--text); overflow-wrap: anywhere; }
.trace summary .muted { font-size: .85rem; }
.more { margin-top: .6rem; font-size: .85rem; }
.spans td, .spans th { padding-top: .15rem; padding-bottom: .15rem; }
.spans tbody th { font-weight: 400; }
.d1 { padding-left: .8rem; } .d2 { padding-left: 1.6rem; } .d3 { padding-left: 2.4rem; } .d4 { padding-left: 3.2rem; }
.d5 { padding-left: 4rem; } .d6 { padding-left: 4.8rem; } .d7 { padding-left: 5.6rem; } .d8 { padding-left: 6.4rem; }
.bar { width: 60%; min-width: 7rem; }
.bar svg { display: block; width: 100%; height: 1rem; background: var(--bg); border-radius: .2rem; }
.bar rect { fill: var(--link); }
.bar .failed { fill: var(--bad); }
footer { padding-top: 1.25rem; padding-bottom: 2rem; font-size: .85rem; }
`;
