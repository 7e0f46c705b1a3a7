// Emitter, model and collection: the part of WhatsApp Web's Backbone-like base that the libraries touch.
//
// Handlers of `change:x` are called with (model, value, previous), as both libraries expect, and a collection
// repeats every event of its models. A handler that throws must not stop the page: the error goes to the console.

export class Emitter {
  #handlers = new Map();

  on(names, handler, context) {
    for (const name of names.split(' ')) {
      const handlers = this.#handlers.get(name);
      const entry = { handler, context };
      if (handlers) handlers.push(entry);
      else this.#handlers.set(name, [entry]);
    }
    return this;
  }

  once(name, handler, context) {
    const wrapper = (...args) => {
      this.off(name, wrapper);
      handler.apply(context ?? this, args);
    };
    wrapper.original = handler;
    return this.on(name, wrapper);
  }

  off(names, handler) {
    for (const name of names.split(' ')) {
      const kept = (this.#handlers.get(name) ?? []).filter(
        (entry) => handler && entry.handler !== handler && entry.handler.original !== handler,
      );
      if (kept.length) this.#handlers.set(name, kept);
      else this.#handlers.delete(name);
    }
    return this;
  }

  trigger(name, ...args) {
    for (const { handler, context } of [...(this.#handlers.get(name) ?? [])]) {
      try {
        handler.apply(context ?? this, args);
      } catch (error) {
        console.error(`handler of ${name} failed`, error);
      }
    }
    return this;
  }
}

Object.assign(Emitter.prototype, {
  addListener: Emitter.prototype.on,
  listenTo(other, names, handler) {
    other.on(names, handler, this);
  },
  stopListening() {},
});

export class Model extends Emitter {
  // Private, so that neither JSON nor the DevTools protocol ever walks from a model into its collection.
  #attributes = new Set();
  #repeat = null;

  constructor(attributes = {}) {
    super();
    this.set(attributes, { silent: true });
  }

  get attributes() {
    return this.serialize();
  }

  set(changes, { silent = false } = {}) {
    const changed = [];
    for (const [name, value] of Object.entries(changes)) {
      const previous = this[name];
      this.#attributes.add(name);
      if (previous === value) continue;
      this[name] = value;
      changed.push([name, value, previous]);
    }
    if (silent || !changed.length) return this;
    for (const [name, value, previous] of changed) this.trigger(`change:${name}`, this, value, previous);
    this.trigger('change', this);
    return this;
  }

  trigger(name, ...args) {
    super.trigger(name, ...args);
    this.#repeat?.(name, args);
    return this;
  }

  // Called by the collection that holds this model.
  repeatTo(repeat) {
    this.#repeat = repeat;
  }

  serialize() {
    const copy = {};
    for (const name of this.#attributes) copy[name] = this[name];
    return copy;
  }

  toJSON() {
    return this.serialize();
  }

  unsafe() {
    return this;
  }
}

export class Collection extends Emitter {
  #models = new Map();
  #newest;

  get length() {
    return this.#models.size;
  }

  get(id) {
    return id == null ? undefined : this.#models.get(String(id?._serialized ?? id));
  }

  add(model) {
    const id = String(model.id);
    const known = this.#models.get(id);
    if (known) return known;
    this.#models.set(id, model);
    this.#newest = model;
    model.repeatTo?.((name, args) => this.trigger(name, ...args));
    this.trigger('add', model);
    return model;
  }

  remove(model) {
    if (this.#models.delete(String(model.id))) this.trigger('remove', model);
  }

  // Frees memory without telling anybody: the model is still on disk.
  forget(model) {
    this.#models.delete(String(model.id));
  }

  get newest() {
    return this.#newest;
  }

  oldest() {
    return this.#models.values().next().value;
  }

  async find(id) {
    return this.get(id);
  }

  findFirst(predicate) {
    for (const model of this.#models.values()) if (predicate(model)) return model;
    return undefined;
  }

  filter(predicate) {
    return this.getModelsArray().filter(predicate);
  }

  map(transform) {
    return this.getModelsArray().map(transform);
  }

  forEach(visit) {
    this.getModelsArray().forEach(visit);
  }

  getModelsArray() {
    return [...this.#models.values()];
  }

  get models() {
    return this.getModelsArray();
  }
}
