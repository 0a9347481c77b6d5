// Certificates for tests, made with openssl: an authority and what it (or a stranger) signed.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../src/secret.ts'

export interface Certificate {
  readonly cert: string
  readonly key: Secret
}

export interface Certificates {
  /** PEM of the authority that signed all but `selfSigned`. */
  readonly ca: string
  /** PEM of an authority that signed none of these. */
  readonly otherCa: string
  /** localhost, 127.0.0.1 and ::1 */
  readonly server: Certificate
  /** other.example only */
  readonly otherHost: Certificate
  readonly expired: Certificate
  readonly selfSigned: Certificate
  /** CN=client */
  readonly client: Certificate
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
const LOCAL_NAMES = 'DNS:localhost,IP:127.0.0.1,IP:::1'

/** Makes everything anew (some 200 ms); nothing is left on disk. */
export function makeCertificates(): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'))
  const at = (name: string) => join(directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const read = (name: string): Certificate => ({
    cert: readFileSync(at(`${name}.crt`), 'utf8'),
    key: new Secret(readFileSync(at(`${name}.key`), 'utf8')),
  })
  const root = (name: string, commonName: string, names: string) => {
    const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)]
    openssl('req', '-x509', ...KEY, ...files, '-subj', `/CN=${commonName}`, '-days', '2', '-addext', `subjectAltName=${names}`)
    return read(name)
  }
  const signed = (name: string, commonName: string, names: string, days = '2') => {
    openssl('req', ...KEY, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`), '-subj', `/CN=${commonName}`)
    writeFileSync(at(`${name}.ext`), `subjectAltName=${names}\n`)
    const authority = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial']
    openssl('x509', '-req', '-in', at(`${name}.csr`), ...authority, '-extfile', at(`${name}.ext`), '-days', days, '-out', at(`${name}.crt`))
    return read(name)
  }
  try {
    return {
      ca: root('ca', 'test authority', 'DNS:authority').cert,
      otherCa: root('other', 'other authority', 'DNS:authority').cert,
      server: signed('server', 'localhost', LOCAL_NAMES),
      otherHost: signed('otherHost', 'other.example', 'DNS:other.example'),
      expired: signed('expired', 'localhost', LOCAL_NAMES, '-1'),
      selfSigned: root('selfSigned', 'localhost', LOCAL_NAMES),
      client: signed('client', 'client', 'DNS:client'),
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
}
