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
    "/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is signed in at the page, and how one may sign in. Open to everybody. */
        get: operations["who"];
        put?: never;
        /** Signs the local admin in, by a cookie. Only for the page itself: its `Sec-Fetch-Site` or `Origin` must say so. */
        post: operations["local"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session/end": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Signs out: the session ends on all nodes. */
        post: operations["end"];
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
        /** @description A name and a password. It shows itself nowhere. */
        Credentials: {
            /**
             * Format: password
             * @description The password.
             */
            password: string;
            /** @description The local admin's name. */
            user: string;
        };
        /** @description What is left to do after a sign-out. */
        Ended: {
            /** @description Where to go to sign out at the provider too, if it offers that. */
            redirect?: string | null;
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
        /** @description Who is signed in, and how one may sign in. */
        Session: {
            /** @description Whether a local admin may sign in with a password. */
            local: boolean;
            /**
             * @description "development" where a name is sign-in enough, "production" where a token or a session is needed.
             * @example production
             */
            mode: string;
            person?: null | components["schemas"]["SessionPerson"];
            /** @description What the page's provider is called, if there is one. */
            provider?: string | null;
        };
        /** @description Somebody with a session. */
        SessionPerson: {
            /**
             * Format: int64
             * @description When the session ends in any case, in milliseconds since 1970.
             */
            ends_at: number;
            /**
             * @description Stable id: "oidc:" and the provider's subject, or "local:" and the name.
             * @example oidc:248289761001
             */
            id: string;
            /**
             * Format: int64
             * @description When the session ends if nobody uses it, in milliseconds since 1970.
             */
            idle_ends_at: number;
            /** @description What others see. */
            name: string;
            /**
             * Format: int64
             * @description The time by the server's clock, in milliseconds since 1970.
             */
            now: number;
            /**
             * @description "all", or "read": look at everything and change nothing.
             * @example read
             */
            rights: string;
            /** @description The provider's roles. */
            roles: string[];
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
    who: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Who is signed in, if anybody, and how one may sign in */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description Sessions can't be read */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    local: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Credentials"];
            };
        };
        responses: {
            /** @description Signed in: the cookie is set */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description No name and password */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Name or password is wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A page of another site asked */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description There is no local admin */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Too many tries; `Retry-After` says when the next is taken */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    end: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Signed out */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ended"];
                };
            };
            /** @description A page of another site asked */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Sessions can't be changed */
            503: {
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
