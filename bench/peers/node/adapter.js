// How nodes reach each other: ADAPTER is classic, sharded or streams, over the Redis of this URL.

export async function adapter(url) {
  if (!url) return undefined;
  const { Redis } = await import("ioredis");
  const client = new Redis(url);
  await client.ping();
  switch (process.env.ADAPTER) {
    case "classic":
    case "sharded": {
      const { createAdapter, createShardedAdapter } = await import("@socket.io/redis-adapter");
      const create = process.env.ADAPTER === "classic" ? createAdapter : createShardedAdapter;
      return create(client, client.duplicate());
    }
    default: {
      const { createAdapter } = await import("@socket.io/redis-streams-adapter");
      return createAdapter(client);
    }
  }
}
