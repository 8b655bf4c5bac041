// How long ticks take, for whoever asks over HTTP: GET /ticks, and GET /ticks?anew to forget what was.

export function measured() {
  let times = [];
  const quantile = (q) => {
    const sorted = times.toSorted((a, b) => a - b);
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] : 0;
  };
  return {
    take(tick) {
      const start = performance.now();
      tick();
      times.push(performance.now() - start);
    },
    answer(request, response) {
      if (!request.url.startsWith("/ticks")) return response.writeHead(404).end();
      if (request.url.endsWith("?anew")) times = [];
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ ticks: times.length, p50_ms: quantile(0.5), p99_ms: quantile(0.99) }));
    },
  };
}
