// Made by `npm run generate`. Changes here are lost.

export interface paths {
    "/api/v1/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This description. */
        get: operations["document"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The numbers of this node. */
        get: operations["stats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The process runs and answers. */
        get: operations["live"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Numbers for Prometheus. Open to loopback and to the networks in `metrics.allowed`, unless `metrics.public` is set. */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The node takes new clients. */
        get: operations["ready"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description One thing that should be well. */
        Check: {
            /** @description What is wrong, where something is. */
            detail?: string | null;
            /** @description What it is: "store", "loops", "broker", … */
            name: string;
            /** @description Whether it is well. */
            ok: boolean;
        };
        /** @description Open connections by transport. */
        Connections: {
            /**
             * Format: int64
             * @description On long polling.
             */
            polling: number;
            /**
             * Format: int64
             * @description All of them.
             */
            total: number;
            /**
             * Format: int64
             * @description On WebSocket.
             */
            websocket: number;
        };
        /** @description The body of an error. */
        ErrorBody: {
            /** @description What went wrong. */
            error: components["schemas"]["ErrorText"];
        };
        /** @description What went wrong. */
        ErrorText: {
            /**
             * @description For programs: `unauthorized`, `forbidden`, `not_found`, `method_not_allowed`.
             * @example not_found
             */
            code: string;
            /** @description For people. */
            message: string;
        };
        /** @description The answer of `/live` and `/ready`. */
        Health: {
            /** @description What was looked at. */
            checks: components["schemas"]["Check"][];
            /** @description "live", "ready", "impaired" (it takes clients, and something they may miss is wrong), "draining" or "unready". */
            status: string;
        };
        /** @description What one namespace holds. */
        Namespace: {
            /**
             * @description Its name.
             * @example /chat
             */
            name: string;
            /**
             * Format: int64
             * @description Rooms in it.
             */
            rooms: number;
            /**
             * Format: int64
             * @description Sockets in it.
             */
            sockets: number;
        };
        /** @description The numbers of a node. Counters are totals since the start: two readings make a rate. */
        Stats: {
            /**
             * Format: int64
             * @description Bytes from clients.
             */
            bytes_in: number;
            /**
             * Format: int64
             * @description Bytes to clients.
             */
            bytes_out: number;
            /** @description Open connections. */
            connections: components["schemas"]["Connections"];
            /**
             * Format: double
             * @description Processor time used, in seconds.
             */
            cpu_seconds: number;
            /**
             * Format: int64
             * @description Event loops.
             */
            loops: number;
            /**
             * Format: int64
             * @description Messages from clients.
             */
            messages_in: number;
            /**
             * Format: int64
             * @description Messages to clients, one for each receiver.
             */
            messages_out: number;
            /**
             * @description "development" where a name is sign-in enough, "production" where a token is needed.
             * @example development
             */
            mode: string;
            /** @description By namespace. */
            namespaces: components["schemas"]["Namespace"][];
            /** @description Name of the node. */
            node: string;
            /** @description Whether it takes new clients. */
            ready: boolean;
            /**
             * Format: int64
             * @description Memory in RAM, in bytes.
             */
            resident_bytes: number;
            /**
             * Format: int64
             * @description Rooms, without those that are a socket's own.
             */
            rooms: number;
            /**
             * Format: int64
             * @description Sockets: a connection has one in each of its namespaces.
             */
            sockets: number;
            /**
             * Format: int64
             * @description When it started, in milliseconds since 1970.
             */
            started_at: number;
            /**
             * Format: int64
             * @description How long it has run, in seconds.
             */
            uptime_s: number;
            /** @description Version of the binary. */
            version: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    document: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
            /** @description In production: no valid token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description In production: not an admin's token */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    stats: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The numbers of this moment */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Stats"];
                };
            };
            /** @description In production: no valid token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description In production: not an admin's token */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    live: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process runs */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Text format 0.0.4 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The address may not read them */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    ready: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The node takes new clients; `status` and `checks` say if not all is well */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description It is draining, or what it needs is not well */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
}
