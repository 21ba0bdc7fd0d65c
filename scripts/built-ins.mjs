/**
 * An `import` of one of Node's own modules reads each of its exports, the rarely used ones among them, which load a
 * third of Node's library: 5 to 10 ms at every start. Taken this way only what is named is read.
 */
export function takeBuiltIns(code) {
  return code.replace(/^import (.+) from "(node:[\w/]+)";$/gm, (statement, names, module) => {
    const [, space, named, other] = /^(?:\* as ([\w$]+)|(\{.*\})|([\w$]+))$/.exec(names) ?? [];
    const taken = space ?? other ?? named?.replaceAll(' as ', ': ');
    if (taken === undefined) {
      throw new Error(`the bundle has an import of a form that is not foreseen: ${statement}`);
    }
    // By its full name: what is taken may be called `process` itself.
    return `const ${taken} = globalThis.process.getBuiltinModule("${module}");`;
  });
}
