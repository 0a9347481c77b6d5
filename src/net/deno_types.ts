// The part of Deno that net/ uses, declared narrowly so that the same text type-checks under tsc and under deno check.

export interface DenoHttpServer {
  readonly addr: { readonly hostname: string; readonly port: number }
  readonly finished: Promise<void>
  shutdown(): Promise<void>
}

/** What fetch takes as `client`. */
export interface DenoHttpClient {
  close(): void
}

export interface DenoRuntime {
  serve(
    options: {
      readonly hostname: string
      readonly port: number
      readonly onListen: () => void
      readonly onError: (error: unknown) => Response
    },
    handler: (request: Request) => Response | Promise<Response>,
  ): DenoHttpServer
  createHttpClient(options: {
    readonly poolMaxIdlePerHost?: number
    readonly caCerts?: readonly string[]
    readonly cert?: string
    readonly key?: string
    readonly proxy?: { readonly transport: 'unix'; readonly path: string }
  }): DenoHttpClient
}

/** Deno's global object; undefined on any other runtime. */
export const denoRuntime = (globalThis as unknown as { Deno?: DenoRuntime }).Deno
