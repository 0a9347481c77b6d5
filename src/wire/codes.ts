// The bytes and numbers of the PostgreSQL protocol 3, named as in its chapter "Message Formats", and our limits.

// Frontend (client to server).
export const BIND = 0x42
export const CLOSE = 0x43
export const COPY_FAIL = 0x66
export const DESCRIBE = 0x44
export const EXECUTE = 0x45
export const FLUSH = 0x48
export const FUNCTION_CALL = 0x46
export const PARSE = 0x50
export const QUERY = 0x51
export const SYNC = 0x53
export const TERMINATE = 0x58

// Both directions.
export const COPY_DATA = 0x64
export const COPY_DONE = 0x63

// Backend (server to client).
export const AUTHENTICATION = 0x52
export const BACKEND_KEY_DATA = 0x4b
export const BIND_COMPLETE = 0x32
export const CLOSE_COMPLETE = 0x33
export const COMMAND_COMPLETE = 0x43
export const COPY_IN_RESPONSE = 0x47
export const COPY_OUT_RESPONSE = 0x48
export const COPY_BOTH_RESPONSE = 0x57
export const DATA_ROW = 0x44
export const EMPTY_QUERY_RESPONSE = 0x49
export const ERROR_RESPONSE = 0x45
export const FUNCTION_CALL_RESPONSE = 0x56
export const NEGOTIATE_PROTOCOL_VERSION = 0x76
export const NO_DATA = 0x6e
export const NOTICE_RESPONSE = 0x4e
export const NOTIFICATION_RESPONSE = 0x41
export const PARAMETER_DESCRIPTION = 0x74
export const PARAMETER_STATUS = 0x53
export const PARSE_COMPLETE = 0x31
export const PORTAL_SUSPENDED = 0x73
export const READY_FOR_QUERY = 0x5a
export const ROW_DESCRIPTION = 0x54

// Transaction status in ReadyForQuery.
export const STATUS_IDLE = 0x49
export const STATUS_FAILED = 0x45

// Subtypes of Authentication.
export const AUTHENTICATION_OK = 0
export const AUTHENTICATION_CLEARTEXT_PASSWORD = 3
export const AUTHENTICATION_MD5_PASSWORD = 5
export const AUTHENTICATION_SASL = 10
export const AUTHENTICATION_SASL_CONTINUE = 11
export const AUTHENTICATION_SASL_FINAL = 12

// What stands in the place of the protocol version in a first packet.
export const CANCEL_REQUEST_CODE = 80877102
export const SSL_REQUEST_CODE = 80877103
export const GSSENC_REQUEST_CODE = 80877104
export const PROTOCOL_MAJOR = 3
/** Newest minor version that we speak to clients: 3.2 has long cancel keys. Servers are asked for 3.0. */
export const PROTOCOL_MINOR = 2

/** Type byte and length. */
export const HEADER_LENGTH = 5
/** Longest first packet after its length field: PostgreSQL's MAX_STARTUP_PACKET_LENGTH. */
export const STARTUP_PACKET_LIMIT = 10_000
/** Longest message of an authentication exchange after its length field: PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH. */
export const AUTHENTICATION_MESSAGE_LIMIT = 65_535
/** NAMEDATALEN - 1. */
export const NAME_LIMIT = 63
export const CANCEL_KEY_SHORTEST = 4
/** Protocol 3.2. */
export const CANCEL_KEY_LONGEST = 256

export const BACKEND_NAMES: ReadonlyMap<number, string> = new Map([
  [AUTHENTICATION, 'Authentication'],
  [BACKEND_KEY_DATA, 'BackendKeyData'],
  [BIND_COMPLETE, 'BindComplete'],
  [CLOSE_COMPLETE, 'CloseComplete'],
  [COMMAND_COMPLETE, 'CommandComplete'],
  [COPY_DATA, 'CopyData'],
  [COPY_DONE, 'CopyDone'],
  [COPY_IN_RESPONSE, 'CopyInResponse'],
  [COPY_OUT_RESPONSE, 'CopyOutResponse'],
  [COPY_BOTH_RESPONSE, 'CopyBothResponse'],
  [DATA_ROW, 'DataRow'],
  [EMPTY_QUERY_RESPONSE, 'EmptyQueryResponse'],
  [ERROR_RESPONSE, 'ErrorResponse'],
  [FUNCTION_CALL_RESPONSE, 'FunctionCallResponse'],
  [NEGOTIATE_PROTOCOL_VERSION, 'NegotiateProtocolVersion'],
  [NO_DATA, 'NoData'],
  [NOTICE_RESPONSE, 'NoticeResponse'],
  [NOTIFICATION_RESPONSE, 'NotificationResponse'],
  [PARAMETER_DESCRIPTION, 'ParameterDescription'],
  [PARAMETER_STATUS, 'ParameterStatus'],
  [PARSE_COMPLETE, 'ParseComplete'],
  [PORTAL_SUSPENDED, 'PortalSuspended'],
  [READY_FOR_QUERY, 'ReadyForQuery'],
  [ROW_DESCRIPTION, 'RowDescription'],
])
