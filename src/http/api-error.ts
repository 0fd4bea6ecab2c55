/** Why a request was not served: stable strings that programs may compare. They are listed in docs/metrics.md. */
export const ErrorCode = {
  badHost: 'bad_host',
  hostNotAllowed: 'host_not_allowed',
  notFound: 'not_found',
  methodNotAllowed: 'method_not_allowed',
  internal: 'internal_error',
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** A request that is answered with an error. The message is for the reader of the answer, and tells what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ErrorCode;
  /** HTTP status. */
  readonly status: number;
  /** Response headers that the status asks for, such as Allow. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.headers = headers;
  }
}
