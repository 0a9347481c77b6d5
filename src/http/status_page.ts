// The status page: one constant document without any data; its script asks for the state with the header that is due.
import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import { STATUS_SCRIPT } from './status_script.ts'
import { STATUS_STYLE } from './status_style.ts'

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** This one script and this one style, requests to ourselves, nothing else. No text becomes HTML: trusted types refuse it. */
export const STATUS_PAGE_POLICY = [
  "default-src 'none'",
  `script-src ${hash(STATUS_SCRIPT)}`,
  `style-src ${hash(STATUS_STYLE)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

const ICON =
  'data:image/svg+xml,' +
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#2f8f83" stroke-width="4">' +
      '<rect x="2" y="10" width="17" height="12" rx="6"/><rect x="13" y="10" width="17" height="12" rx="6"/></g></svg>',
  )

const MARK = html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><g fill="none" stroke="currentColor" stroke-width="3.4">
<rect x="2" y="10" width="17" height="12" rx="6"/><rect x="13" y="10" width="17" height="12" rx="6"/></g></svg>`

const section = (id: string, title: string) =>
  html`<section id="${id}-section" hidden><h2>${title}</h2><div id="${id}" class="cards"></div></section>`

const BODY = html`<header>
${MARK}<h1>pglease</h1><span id="state" class="pill">connecting</span><span id="facts" class="facts"></span>
</header>
<p id="lost" class="banner" role="status" hidden></p>
<noscript><p class="banner">This page needs JavaScript. Without it: curl -H 'X-Pglease-Request: true' .../api/state</p></noscript>
<main id="main">
<div id="overview" class="cards overview"></div>
${section('sources', 'Credentials')}
${section('databases', 'Databases')}
<section><h2>Log<label class="choice"><input type="checkbox" id="serious"> warnings and errors only</label></h2>
<div id="log" class="log" role="log" aria-live="off" tabindex="0" aria-label="The last log lines"></div></section>
</main>`

export const STATUS_PAGE: string = String(
  html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>pglease</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="${ICON}"><style>${raw(STATUS_STYLE)}</style></head>
<body>${BODY}<script>${raw(STATUS_SCRIPT)}</script></body></html>
`,
)
