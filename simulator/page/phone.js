// A phone to try with: links and unlinks the device of a business, and writes to it as a customer.
'use strict';

const field = (id) => document.getElementById(id);
const tell = (text) => {
  field('told').textContent = text;
};
// A code to type has eight characters; that of a picture is much longer.
const TYPED = 8;
const LOOK_EVERY_MS = 1_000;
const written = [];

async function control(method, call, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`/control/${call}`, { method, headers, body: body && JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

// Two of a second are in the order in which they were noted.
function show(sent) {
  const to = `${field('from').value.replace(/\D/g, '')}@c.us`;
  const theirs = sent.filter((message) => message.to === to);
  const lines = [
    ...written.map(({ body, at }) => ({ body, at, side: 'out' })),
    ...theirs.map(({ body, at_ms: at }) => ({ body, at, side: 'in' })),
  ];
  lines.sort((one, other) => one.at - other.at);
  field('lines').replaceChildren(
    ...lines.map(({ body, side }) => {
      const line = document.createElement('li');
      line.className = side;
      line.textContent = body;
      return line;
    }),
  );
}

async function look() {
  const phone = encodeURIComponent(field('phone').value);
  await control('GET', `sent?phone=${phone}`).then(show, () => show([]));
  setTimeout(look, LOOK_EVERY_MS);
}

field('link').addEventListener('submit', async (event) => {
  event.preventDefault();
  const phone = field('phone').value;
  const code = field('code').value.trim();
  const unlinks = event.submitter.value === 'logout';
  const isTyped = code.replace(/[\s-]/g, '').length === TYPED;
  const call = unlinks ? 'logout' : isTyped ? 'link' : 'scan';
  await control('POST', call, unlinks ? { phone } : { phone, code }).then(
    () => tell(unlinks ? 'The device is unlinked.' : 'The device is linked.'),
    (error) => tell(error.message),
  );
});

field('write').addEventListener('submit', async (event) => {
  event.preventDefault();
  const [phone, from, body] = ['phone', 'from', 'body'].map((id) => field(id).value);
  const at = Date.now();
  await control('POST', 'message', { phone, from, body }).then(
    () => {
      written.push({ body, at });
      field('body').value = '';
      tell('');
    },
    (error) => tell(error.message),
  );
});

look();
