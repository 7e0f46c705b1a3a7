// Which build of the page this document is: it says so in `<meta name="build">`, and where it says nothing it is sound. What a
// build breaks it breaks for a share of the phones, and from some moment of the page's life on. Which phones these are the
// server says, so that a test can know it too.

const declared = document.querySelector('meta[name="build"]');
const kind = declared?.content ?? 'sound';
const share = Number(declared?.dataset.share ?? 1);
const after = Number(declared?.dataset.after ?? 0);

let isHit = false;

// A page that is not linked is of no phone, so only a build that breaks all of them breaks it.
export async function load(phone) {
  if (kind === 'sound') return;
  isHit = share >= 1 || Boolean(phone && (await isInShare(phone)));
}

async function isInShare(phone) {
  const response = await fetch(`/builds/share?phone=${phone}&share=${share}`);
  return response.ok && response.json();
}

// The phone is known only now. Look-ups stay as they were when the page was loaded: a library has looked by then.
export async function linked(phone) {
  if (kind === 'broken-sends') await load(phone);
}

export const swallowsSends = () => isHit && kind === 'broken-sends' && performance.now() >= after;

// In how many milliseconds no module is found any more; undefined where they always are.
export const hidesModulesAfter = () =>
  (isHit && kind === 'broken-lookups' ? Math.max(0, after - performance.now()) : undefined);
