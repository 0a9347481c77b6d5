// The settings of the Vault or OpenBao client: where it is, how to log in, when to renew.
import type { Secret } from '../secret.ts'
import { choice, row } from './row.ts'

const LATER = 'not supported yet'

export const VAULT_ROWS = {
  vault_addr: row<string>('url', {
    default: 'https://127.0.0.1:8200',
    help: 'Address of Vault, with scheme.',
    environment: ['VAULT_AGENT_ADDR', 'VAULT_ADDR'],
    change: 'restart',
  }),
  vault_namespace: row<string | undefined>('text', {
    default: undefined,
    help: 'Namespace of every request.',
    environment: ['VAULT_NAMESPACE'],
    change: 'restart',
  }),
  vault_cacert: row<string | undefined>('file', {
    default: undefined,
    defaultText: "the system's certificates, and the pod's service-account CA if there is one",
    help: "PEM file of the authorities that sign Vault's certificate.",
    environment: ['VAULT_CACERT', 'VAULT_CA_CERT'],
    change: 'restart',
  }),
  vault_client_cert: row<string | undefined>('file', {
    default: undefined,
    help: 'PEM file of the certificate that is shown to Vault.',
    environment: ['VAULT_CLIENT_CERT'],
    change: 'restart',
  }),
  vault_client_key: row<string | undefined>('file', {
    default: undefined,
    help: 'PEM file of the key of `vault_client_cert`.',
    environment: ['VAULT_CLIENT_KEY'],
    change: 'restart',
  }),
  vault_tls_server_name: row<string | undefined>('text', {
    default: undefined,
    defaultText: 'the host of `vault_addr`',
    help: "Name that Vault's certificate must carry.",
    environment: ['VAULT_TLS_SERVER_NAME'],
    change: 'restart',
  }),
  vault_skip_verify: row<boolean>('boolean', {
    default: false,
    help: 'Accept any certificate of Vault. For tests only.',
    environment: ['VAULT_SKIP_VERIFY'],
    change: 'restart',
  }),
  vault_timeout: row<number>('duration', {
    default: 60_000,
    minimum: 1,
    help: 'Longest time for one request to Vault.',
    environment: ['VAULT_CLIENT_TIMEOUT'],
  }),
  vault_auth_method: choice(['kubernetes', 'approle', 'token', 'token_file'], {
    default: 'kubernetes',
    defaultText: 'token if a token is set, token_file if a token file is, approle if a role id and a secret id are; else kubernetes',
    help: 'How pglease logs in to Vault.',
    environment: ['VAULT_AUTH_METHOD'],
    change: 'restart',
    refused: { jwt: LATER, cert: LATER, userpass: LATER, ldap: LATER, none: LATER },
  }),
  vault_auth_mount: row<string>('text', {
    default: '',
    defaultText: "the method's name",
    help: 'Where the login method is mounted, without `auth/`.',
    environment: ['VAULT_AUTH_MOUNT'],
    change: 'restart',
  }),
  vault_auth_role: row<string>('text', {
    default: 'default',
    help: 'Role of the kubernetes login.',
    environment: ['VAULT_AUTH_ROLE', 'VAULT_KUBERNETES_ROLE'],
    change: 'restart',
  }),
  vault_jwt_file: row<string>('file', {
    default: '/var/run/secrets/kubernetes.io/serviceaccount/token',
    help: 'File of the service-account token; read again at each login.',
    environment: ['VAULT_JWT_FILE'],
    change: 'restart',
  }),
  vault_token: row<Secret | undefined>('secret', {
    default: undefined,
    help: 'A token made elsewhere. It is renewed, never revoked.',
    environment: ['VAULT_TOKEN'],
    change: 'restart',
  }),
  vault_token_file: row<string | undefined>('file', {
    default: undefined,
    help: 'File in which someone else (an agent) keeps a token; read again when it changes, never renewed.',
    environment: ['VAULT_TOKEN_FILE', 'BAO_TOKEN_PATH'],
    change: 'restart',
  }),
  vault_role_id: row<Secret | undefined>('secret', {
    default: undefined,
    help: 'Role id of the approle login.',
    environment: ['VAULT_ROLE_ID'],
    change: 'restart',
  }),
  vault_secret_id: row<Secret | undefined>('secret', {
    default: undefined,
    help: 'Secret id of the approle login.',
    environment: ['VAULT_SECRET_ID'],
    change: 'restart',
  }),
  lease_renew_fraction: row<number>('fraction', {
    default: 2 / 3,
    defaultText: '2/3',
    minimum: 0.1,
    maximum: 0.9,
    help: 'Part of what is left of a lease or token after which it is renewed.',
  }),
  rotate_before: row<number>('duration', {
    default: 0,
    help: "Fetch the successor of a credential at least this long before its end: slack for long transactions and for outages of Vault. 0 leaves it to the lease's maximum.",
  }),
}
