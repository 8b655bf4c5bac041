// Goes from address to address as a browser does, one step at a time: cookies a host, redirects told and not followed.
// So a test can stop in the middle, change what a browser would send, and send it again.

export class Walker {
  #jars = new Map();

  // Cookies know no ports.
  jar(url) {
    const { hostname } = new URL(url);
    if (!this.#jars.has(hostname)) this.#jars.set(hostname, new Map());
    return this.#jars.get(hostname);
  }

  cookie(url, name) {
    return this.jar(url).get(name);
  }

  async ask(url, { method = "GET", headers = {}, body } = {}) {
    const jar = this.jar(url);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      method,
      headers: { ...(cookie ? { cookie } : {}), ...headers },
      body,
      redirect: "manual",
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      const gone = /expires=thu, 01 jan 1970|max-age=0\b/i.test(line);
      if (gone) jar.delete(name);
      else jar.set(name, value);
    }
    const location = response.headers.get("location");
    return { response, status: response.status, next: location && new URL(location, url).href };
  }

  // From the page, with what a browser adds.
  post(url, path, value) {
    return this.ask(`${url}${path}`, {
      method: "POST",
      headers: { origin: url, "sec-fetch-site": "same-origin", "content-type": "application/json" },
      body: value === undefined ? undefined : JSON.stringify(value),
    });
  }

  // The figures: 200 for whoever may look.
  async stats(url) {
    return (await this.ask(`${url}/api/v1/stats`)).status;
  }

  async who(url) {
    const { response } = await this.ask(`${url}/api/v1/session`);
    return (await response.json()).person;
  }

  // Begins a sign-in: the address at the provider.
  async begin(lakh, query = "") {
    const { status, next } = await this.ask(`${lakh}/console/sign-in${query}`);
    if (status !== 303) throw new Error(`the start answers ${status}`);
    return next;
  }

  // Fills the provider's forms in, from its address to the one that leads back.
  async through(provider, address, name) {
    let next = address;
    for (let steps = 0; steps < 12; steps += 1) {
      if (!next.startsWith(provider)) return next;
      const page = await this.ask(next);
      if (page.next) {
        next = page.next;
        continue;
      }
      const html = await page.response.text();
      const action = /<form[^>]* action="([^"]+)"/.exec(html)?.[1];
      if (!action) throw new Error(`${next} answers ${page.status} without a form:\n${html}`);
      const fields = html.includes('value="login"')
        ? { prompt: "login", login: name, password: "any" }
        : { prompt: "consent" };
      const sent = await this.ask(new URL(action, next).href, {
        method: "POST",
        body: new URLSearchParams(fields),
      });
      next = sent.next;
    }
    throw new Error("the provider leads in circles");
  }

  // The whole way; what the server says to the callback.
  async signIn(lakh, provider, name, query = "") {
    const back = await this.through(provider, await this.begin(lakh, query), name);
    return { back, ...(await this.ask(back)) };
  }
}
