// TLS settings in the form that Bun's sockets take.
import type { BunTlsOptions } from './bun_types.ts'
import { alpnWire, checkClientOptions } from './tls.ts'
import type { TlsClientOptions, TlsServerOptions } from './transport.ts'

export function clientTls(options: TlsClientOptions): BunTlsOptions {
  checkClientOptions(options)
  return {
    serverName: options.serverName,
    // the other modes are judged by the handshake's verdict, before anything is sent
    rejectUnauthorized: options.verify === 'full',
    ...(options.ca !== undefined && { ca: options.ca }),
    ...(options.cert !== undefined && { cert: options.cert }),
    ...(options.key !== undefined && { key: options.key.reveal() }),
    ...(options.alpn !== undefined && options.alpn.length > 0 && { ALPNProtocols: alpnWire(options.alpn) }),
  }
}

export function serverTls(options: TlsServerOptions): BunTlsOptions {
  return {
    cert: options.cert,
    key: options.key.reveal(),
    requestCert: options.clientCertificate !== 'none',
    rejectUnauthorized: options.clientCertificate === 'require',
    ...(options.ca !== undefined && { ca: options.ca }),
    ALPNProtocols: alpnWire(['postgresql']),
  }
}
