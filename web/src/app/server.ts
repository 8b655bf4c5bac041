/** What the server wrote into the page about itself. */

export const DEFAULT_SOCKET_PATH = "/socket.io/";

/** The path of the Socket.IO endpoint; the server names it where it isn't the usual one. */
export const socketPath =
  document.querySelector<HTMLMetaElement>('meta[name="lakh-path"]')?.content ?? DEFAULT_SOCKET_PATH;
