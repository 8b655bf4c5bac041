import { expect, test } from "vitest";
import { personOf } from "./identity.ts";

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part(claims)}.c2lnbmVk`;
}

test("a name makes the id that the server makes of it", () => {
  expect(personOf({ name: "Ada" })).toEqual({ id: "dev:ada", name: "Ada" });
});

test("a token's claims name the person", () => {
  expect(personOf({ token: token({ sub: "u1", name: "Zoë" }) })).toEqual({ id: "u1", name: "Zoë" });
  expect(personOf({ token: token({ sub: "u1" }) })).toEqual({ id: "u1", name: "u1" });
});

test("a token that is none still makes somebody", () => {
  for (const bad of ["", "x", "a.b.c", `a.${btoa("7")}.c`]) {
    expect(personOf({ token: bad })).toEqual({ id: "", name: "You" });
  }
});
