// Uses the page that `vae explore --export` wrote, from a plain web server: the same visit as that of the served explorer.
//
//   node exported.mjs BROWSER PAGE [--shots FOLDER]
import { use } from "./explore.mjs";
import { serve } from "./static.mjs";
import { browse, end, words } from "./visit.mjs";

const { shots, words: [executable, folder] } = words();
const server = await serve(folder, "/");
const visit = await browse(executable, shots);
await visit("exported", `http://127.0.0.1:${server.address().port}/`, use);
server.close();
end("the exported explorer");
