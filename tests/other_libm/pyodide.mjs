// node pyodide.mjs NODE_MODULES REPOSITORY SCRIPT ARGUMENT...: runs a Python script in Pyodide, whose C library is musl.
// The repository and the folders of arguments that are absolute paths have the same paths inside as outside.
import { dirname, isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, repository, script, ...rest] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(join(modules, "pyodide", "pyodide.mjs")));
const python = await loadPyodide({ args: ["-B", "-W", "error"] });
for (const folder of new Set([repository, ...rest.filter((each) => isAbsolute(each)).map((each) => dirname(each))])) {
  python.mountNodeFS(folder, folder);
}
python.mountNodeFS("/packages/samestep", join(repository, "plugins"));
python.globals.set("ARGV", python.toPy([script, ...rest]));
await python.runPythonAsync(`
import runpy, sys
sys.argv[:] = ARGV
sys.path[:0] = ["/packages", ${JSON.stringify(repository)}]
runpy.run_path(sys.argv[0], run_name="__main__")
`);
