/** The runner's secret masker: exact substrings of each value and of a few encodings of it become `***`. */
export interface Masks {
  /** As `add-mask` does: the value, and each of its lines. */
  add(value: string): void;
  apply(text: string): string;
}

export function secretMasks(): Masks {
  const forms = new Set<string>();
  const addForms = (value: string): void => {
    for (const form of encodings(value)) if (form !== '') forms.add(form);
  };
  return {
    add(value) {
      if (value.trim() === '') return;
      addForms(value);
      for (const line of value.split(/[\r\n]+/)) addForms(line);
    },
    apply(text) {
      const hits: [number, number][] = [];
      for (const form of forms) {
        for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
          hits.push([at, at + form.length]);
      }
      if (hits.length === 0) return text;
      hits.sort((a, b) => a[0] - b[0]);
      let result = '';
      let end = 0;
      let from = -1;
      for (const [start, stop] of hits) {
        if (from >= 0 && start <= end) end = Math.max(end, stop);
        else {
          result += text.slice(end, start) + '***';
          from = start;
          end = stop;
        }
      }
      return result + text.slice(end);
    },
  };
}

/** What the runner derives from a value. It does not decode a URL, and knows no hex. */
function encodings(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  const base64 = [0, 1, 2]
    .filter((shift) => bytes.length > shift)
    .map((shift) => bytes.subarray(shift).toString('base64').replace(/=+$/, ''));
  return [
    value,
    ...base64,
    value.replaceAll('"', '\\"'),
    value.replaceAll("'", "''"),
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    value
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&apos;'),
    value.length > 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : '',
  ];
}
