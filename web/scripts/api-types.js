// Makes src/api/schema.ts from docs/openapi.json; with --check only compares.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const target = new URL("../src/api/schema.ts", import.meta.url);
// Written from the server's code, and compared with it in the server's own tests.
const source = new URL("../../docs/openapi.json", import.meta.url);

const head = "// Made by `npm run generate`. Changes here are lost.\n\n";
const made = head + astToString(await openapiTS(source, { alphabetize: true }));

if (!process.argv.includes("--check")) {
  writeFileSync(target, made);
} else if (!existsSync(target) || readFileSync(target, "utf8") !== made) {
  console.error("src/api/schema.ts does not match the OpenAPI page: run `npm run generate`.");
  process.exitCode = 1;
}
