// The module system as the libraries see it: `__d`, `require`, `importNamespace`, `require('__debug').modulesMap`.
//
// `importNamespace` answers the live exports object, so that a function which a library replaced by assignment is
// the one the page calls: page code that a library may wrap is reached through `live()`, never through an import.

const modulesMap = {};

export function define(id, exports) {
  modulesMap[id] = { exports, factory: function factory() { return exports; } };
}

export function live(id) {
  const module = modulesMap[id];
  if (!module) throw new Error(`Requiring unknown module "${id}"`);
  return module.exports;
}

// As Meta's loader does it: a module that has only a default export is that export.
function requireModule(id) {
  if (id === '__debug') return { modulesMap };
  const exports = live(id);
  const names = Object.keys(exports);
  return names.length === 1 && names[0] === 'default' ? exports.default : exports;
}

// wa-js traps the setters of `__d` and `require` and starts when both exist, so they come last.
export function publish() {
  window.ErrorGuard = { skipGuardGlobal() {} };
  window.importNamespace = live;
  window.__d = (id, _dependencies, exports) => define(id, exports);
  window.require = requireModule;
}

// What a library has found by then it keeps.
export function hide() {
  for (const name of ['importNamespace', '__d', 'require']) delete window[name];
}
