// Cross checks of what listens, who may connect, and how long stopping takes.
import { type Findings, quote } from './entry.ts'
import { fitsSocket, isLocal, overlap } from './local.ts'
import type { Settings } from './settings.ts'
import { showDuration } from './value.ts'

export type SourceOf = (path: string) => string

function checkReach(settings: Settings, source: SourceOf, findings: Findings): void {
  const open = settings.listen_addr.filter((address) => !isLocal(address))
  if (open.length > 0) {
    findings.mistake(
      'listen_addr',
      source('listen_addr'),
      `${quote(open.join(', '))} can be reached from other machines, but auth_type ${settings.auth_type} lets in everyone who connects`,
      'Set listen_addr to 127.0.0.1, or to "" with a unix_socket_dir; other values of auth_type are not supported yet.',
    )
  }
  if (settings.listen_addr.length === 0 && settings.unix_socket_dir === undefined) {
    findings.mistake(
      'listen_addr',
      source('listen_addr'),
      'is empty and there is no unix_socket_dir',
      'Set one of the two: clients could not connect.',
    )
  }
}

function checkSocket(settings: Settings, source: SourceOf, findings: Findings): void {
  const directory = settings.unix_socket_dir
  if (directory === undefined) return
  if (!directory.startsWith('/')) {
    findings.mistake('unix_socket_dir', source('unix_socket_dir'), 'is not an absolute path', 'Begin it with /.')
  }
  if (!fitsSocket(directory, settings.listen_port)) {
    findings.mistake(
      'unix_socket_dir',
      source('unix_socket_dir'),
      'is too long for a unix socket (107 bytes with its name)',
      'Choose a shorter directory.',
    )
  }
}

/** A list, or the path of a socket, would only show as a name that cannot be resolved. */
function checkHttpAddresses(settings: Settings, source: SourceOf, findings: Findings): void {
  for (const name of ['http_addr', 'admin_addr'] as const) {
    if (!/[\s,/]/.test(settings[name])) continue
    findings.mistake(name, source(name), 'is not one address', 'Set it to a single address, to * for all, or to "" to switch it off.')
  }
}

function checkPorts(settings: Settings, source: SourceOf, findings: Findings): void {
  const addresses = (text: string) => (text === '' ? [] : [text])
  const listeners = [
    { port: 'listen_port', number: settings.listen_port, addresses: settings.listen_addr },
    { port: 'http_port', number: settings.http_port, addresses: addresses(settings.http_addr) },
    { port: 'admin_port', number: settings.admin_port, addresses: addresses(settings.admin_addr) },
  ]
  for (const [index, left] of listeners.entries()) {
    for (const right of listeners.slice(index + 1)) {
      if (left.number === 0 || left.number !== right.number || !overlap(left.addresses, right.addresses)) continue
      findings.mistake(right.port, source(right.port), `is ${right.number}, as ${left.port} is`, 'Give each its own port.')
    }
  }
}

function checkShutdown(settings: Settings, source: SourceOf, findings: Findings): void {
  const limit = settings.shutdown_timeout
  if (limit === 0) return
  for (const name of ['drain_timeout', 'shutdown_delay'] as const) {
    if (settings[name] < limit) continue
    findings.mistake(
      name,
      source(name),
      `is ${showDuration(settings[name])}, but shutdown_timeout ends pglease after ${showDuration(limit)}`,
      `Set shutdown_timeout above it, and the pod's terminationGracePeriodSeconds above that.`,
    )
  }
}

/** Everything about listeners and stopping that no single value shows. */
export function checkListeners(settings: Settings, source: SourceOf, findings: Findings): void {
  checkReach(settings, source, findings)
  checkSocket(settings, source, findings)
  checkHttpAddresses(settings, source, findings)
  checkPorts(settings, source, findings)
  checkShutdown(settings, source, findings)
}
