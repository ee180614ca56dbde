// Runs a WebAssembly program of WASI under Node: `node wasi.mjs PROGRAM.wasm [ARGUMENT…]`. It sees the environment variables and all
// files.
import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { WASI } from "node:wasi";

// With direct calls of WASI's functions, garbage collection overlooks the stack below a long program: Node 20 then crashes.
setFlagsFromString("--no-turbo-fast-api-calls");
Error.stackTraceLimit = 0; // a panic says where it is

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [program, ...args], env: process.env, preopens: { "/": "/" } });
const module = await WebAssembly.compile(await readFile(program));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
