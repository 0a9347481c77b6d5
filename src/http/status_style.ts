// How the status page looks: calm, light or dark as the reader's system is, readable on a phone.
export const STATUS_STYLE = `
:root {
  --page: #f5f6f8; --card: #ffffff; --line: #e3e6eb; --text: #1c2530; --soft: #66717f; --track: #e9ecf1;
  --accent: #2f8f83; --busy: #2f8f83; --idle: #a9d3cc; --wait: #d9962b; --login: #7d8fd6; --close: #b9a3ae; --bad: #c2483d;
  --good-back: #e0f1ee; --good-text: #1f6a61; --warn-back: #fbf0dc; --warn-text: #875a10; --bad-back: #fae5e2; --bad-text: #97342b;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10141a; --card: #181e26; --line: #28303b; --text: #dde3ea; --soft: #8e99a8; --track: #252d38;
    --accent: #56b8aa; --busy: #4aa99c; --idle: #2d5a56; --wait: #d29a3f; --login: #7687cf; --close: #6d5c68; --bad: #d9685d;
    --good-back: #17332f; --good-text: #86d3c7; --warn-back: #372b14; --warn-text: #e6bd74; --bad-back: #3b1f1d; --bad-text: #f0a59d;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0 auto; max-width: 1120px; padding: 20px 20px 40px; background: var(--page); color: var(--text);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
header { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 10px; margin-bottom: 18px; }
.mark { width: 30px; height: 30px; color: var(--accent); }
h1 { font-size: 20px; font-weight: 650; letter-spacing: -.01em; margin: 0 4px 0 0; }
h2 { font-size: 13px; font-weight: 600; color: var(--soft); margin: 26px 0 8px; display: flex; justify-content: space-between; gap: 12px; }
h3 { font-size: 15px; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
p { margin: 0; }
.facts { color: var(--soft); margin-left: auto; }
.pill {
  font-size: 12px; font-weight: 600; line-height: 20px; padding: 0 9px; border-radius: 10px; white-space: nowrap;
  background: var(--track); color: var(--soft);
}
.pill.good { background: var(--good-back); color: var(--good-text); }
.pill.warn { background: var(--warn-back); color: var(--warn-text); }
.pill.bad { background: var(--bad-back); color: var(--bad-text); }
.banner {
  background: var(--warn-back); color: var(--warn-text); border-radius: 8px; padding: 9px 14px; margin-bottom: 16px;
  overflow-wrap: anywhere;
}
main { transition: opacity .4s; }
main.stale { opacity: .5; }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
.cards.overview { grid-template-columns: repeat(auto-fit, minmax(min(100%, 230px), 1fr)); }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0;
  display: flex; flex-direction: column; gap: 8px;
}
.big.bad { color: var(--bad); }
.row { display: flex; justify-content: space-between; align-items: baseline; gap: 12px; min-width: 0; }
.title { font-size: 12px; color: var(--soft); }
.big { font-size: 20px; font-weight: 600; letter-spacing: -.01em; line-height: 1.25; white-space: nowrap; }
.soft { color: var(--soft); font-size: 12.5px; overflow-wrap: anywhere; }
.mono { font-family: var(--mono); font-size: 12.5px; overflow-wrap: anywhere; unicode-bidi: isolate; }
.end { text-align: right; flex: none; }
.trouble { color: var(--bad-text); background: var(--bad-back); border-radius: 6px; padding: 5px 9px; font-size: 12.5px; overflow-wrap: anywhere; }
.bar { height: 6px; border-radius: 3px; background: var(--track); overflow: hidden; display: flex; }
.bar.stack { height: 10px; border-radius: 5px; gap: 1px; margin-bottom: 4px; }
.bar > span { display: block; flex: none; width: 0; transition: width .5s linear; background: var(--accent); }
.bar.low > span { background: var(--wait); }
.bar.over { background: var(--bad); }
.bar.endless > span { background: var(--idle); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; color: var(--soft); font-size: 12.5px; }
.legend > span { white-space: nowrap; }
.legend > .none { opacity: .55; }
.legend i { display: inline-block; width: 8px; height: 8px; border-radius: 4px; margin-right: 5px; }
.bar .active, .legend .active > i, .bar .replication, .legend .replication > i { background: var(--busy); }
.bar .idle, .legend .idle > i { background: var(--idle); }
.bar .waiting, .legend .waiting > i { background: var(--wait); }
.bar .login, .legend .login > i { background: var(--login); }
.bar .used, .legend .used > i { background: var(--idle); }
.bar .tested, .legend .tested > i { background: var(--login); }
.bar .closing, .legend .closing > i { background: var(--close); }
.bar .listening, .legend .listening > i { background: var(--wait); }
.check { display: flex; gap: 8px; align-items: baseline; font-size: 13px; min-width: 0; }
.check > i { flex: none; width: 8px; height: 8px; border-radius: 4px; background: var(--accent); }
.check.failing > i { background: var(--bad); }
.check > span { min-width: 0; overflow-wrap: anywhere; }
.spark { display: block; width: 100%; height: 34px; margin-top: auto; }
.spark polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.spark polygon { fill: var(--accent); opacity: .13; }
.numbers { display: grid; grid-template-columns: repeat(4, auto); justify-content: space-between; gap: 4px 12px; }
.numbers b { display: block; font-weight: 600; white-space: nowrap; }
.numbers span { color: var(--soft); font-size: 12px; }
.older { border-top: 1px solid var(--line); padding-top: 8px; display: flex; flex-direction: column; gap: 4px; }
.choice { font-weight: 400; display: flex; align-items: center; gap: 6px; cursor: pointer; }
.choice input { margin: 0; accent-color: var(--accent); }
.log {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 0; height: 320px; overflow-y: auto;
  font: 12px/1.6 var(--mono); overscroll-behavior: contain;
}
.log.serious .debug, .log.serious .info { display: none; }
.line { display: grid; grid-template-columns: 92px 160px 1fr; gap: 0 12px; padding: 1px 16px; border-left: 3px solid transparent; }
.line > * { min-width: 0; overflow-wrap: anywhere; unicode-bidi: isolate; }
.line time, .line .fields { color: var(--soft); }
.line .fields { margin-left: 8px; }
.line.debug { opacity: .7; }
.line.warning { border-left-color: var(--wait); background: color-mix(in srgb, var(--warn-back) 45%, transparent); }
.line.error { border-left-color: var(--bad); background: color-mix(in srgb, var(--bad-back) 50%, transparent); }
.line.gap { color: var(--soft); }
@media (max-width: 640px) {
  body { padding: 14px 12px 28px; }
  .facts { margin-left: 0; width: 100%; }
  .numbers { grid-template-columns: repeat(2, 1fr); }
  .line { grid-template-columns: auto 1fr; padding: 4px 12px; }
  .line > :last-child { grid-column: 1 / -1; }
  .line .event { text-align: right; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`
