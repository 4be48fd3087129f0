/** A small table of samples and their labels, read from CSV text and checked. */

export const TABLE_LIMITS = {
  characters: 1e6,
  samples: 2000,
  columns: 200,
  classes: 10,
  size: 1e9,
};
const CELL_NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
// All but tab, line feed and carriage return: what text does not contain.
const CONTROL = new RegExp("[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f]");

/** What is wrong with a table: where, what is there, and what to do. */
class TableError extends Error {}

/**
 * Return the records of a CSV text (RFC 4180; as Python's csv.reader with strict=True) as
 * {line, cells}, without empty lines: `line` is the one a record begins in. Stop after `most`.
 */
export function recordsOfText(text, delimiter, most = Infinity) {
  const records = [];
  let cells = [];
  let line = 1; // where we are
  let start = 1; // where the record began
  let at = 0;
  const plain = new RegExp(`[${delimiter}\\r\\n]`, "g");
  while (at < text.length && records.length < most) {
    if (text[at] === '"') {
      let cell = "";
      for (;;) {
        const close = text.indexOf('"', at + 1);
        if (close < 0) {
          throw new TableError(
            `Line ${start}: a quotation mark is not closed; close or remove it.`,
          );
        }
        cell += text.slice(at + 1, close);
        at = close + 1;
        if (text[at] !== '"') break;
        cell += '"'; // two of them stand for one
      }
      line += (cell.match(/\r\n|\r|\n/g) ?? []).length;
      const next = text[at];
      if (next !== undefined && next !== delimiter && next !== "\r" && next !== "\n") {
        const what = shortened(next);
        throw new TableError(`Line ${line}: ${what} follows a closed quotation mark; remove it.`);
      }
      cells.push(cell);
    } else {
      plain.lastIndex = at;
      const end = plain.exec(text)?.index ?? text.length;
      cells.push(text.slice(at, end));
      at = end;
    }
    if (text[at] === delimiter) {
      at++;
      if (at < text.length) continue;
      cells.push(""); // the text ends behind a delimiter
    }
    if (cells.length > 1 || cells[0] !== "" || text[at - 1] === '"') {
      records.push({ line: start, cells });
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    at++;
    cells = [];
    start = ++line;
  }
  return records;
}

/**
 * Return the samples of a CSV text as {train, test, classes, names, columns}, or {problem}, words.
 * `label` says which column holds the label: "last" or "first". Every fourth sample of a class is
 * kept to test on.
 */
export function tableOfText(text, label) {
  try {
    return checkedTable(text.replace(/^\ufeff/, ""), label);
  } catch (error) {
    if (error instanceof TableError) return { problem: error.message };
    throw error;
  }
}

function checkedTable(text, label) {
  const { characters, samples, columns: mostColumns } = TABLE_LIMITS;
  if (text.length > characters) {
    const size = `${text.length.toLocaleString("en-GB")} characters`;
    throw new TableError(`The table has ${size}; at most a million fit here. Take fewer samples.`);
  }
  const strange = CONTROL.exec(text);
  if (strange) {
    const line = text.slice(0, strange.index).split("\n").length;
    const code = strange[0].charCodeAt(0);
    const words = `Line ${line} holds a character that is not text (code ${code})`;
    throw new TableError(`${words}; save the table as CSV and take that file.`);
  }
  const records = recordsOfText(text, delimiterOf(text), samples + 2);
  const lead = label === "first" ? 1 : 0;
  const features = ({ cells }) => (lead ? cells.slice(1) : cells.slice(0, -1));
  const named = records.length && features(records[0]).every((cell) => !isNumber(cell));
  if (named && records[0].cells.length > 1) records.shift(); // a header
  if (!records.length) throw new TableError("There is no sample yet; give one row for each.");
  if (records.length > samples) {
    const { line } = records[samples];
    throw new TableError(`Line ${line} is sample ${samples + 1}; at most ${samples} fit here.`);
  }
  const columns = records[0].cells.length - 1;
  if (columns < 1 || columns > mostColumns) {
    const { line } = records[0];
    const remedy = `give a label and 1 to ${mostColumns} numbers, separated by commas`;
    throw new TableError(`Line ${line} has ${columns} columns beside the label; ${remedy}.`);
  }
  const images = new Float64Array(records.length * columns);
  records.forEach((record, row) => {
    const { line, cells } = record;
    if (cells.length !== columns + 1) {
      const words = `Line ${line} has ${cells.length} cells, the first has ${columns + 1}`;
      throw new TableError(`${words}; give all lines the same number.`);
    }
    features(record).forEach((cell, column) => {
      images[row * columns + column] = numberOf(cell, line, column + lead + 1);
    });
  });
  return parted(images, columns, labelled(records, lead));
}

function delimiterOf(text) {
  const end = text.search(/[^\s][\r\n]/); // of the first line with something in it
  const line = (end < 0 ? text : text.slice(0, end + 1)).replace(/"[^"]*"/g, "");
  const count = (delimiter) => line.split(delimiter).length;
  return [",", ";", "\t"].reduce((best, each) => (count(each) > count(best) ? each : best));
}

function isNumber(cell) {
  return CELL_NUMBER.test(cell.trim());
}

function numberOf(cell, line, column) {
  const at = `Line ${line}, column ${column}`;
  if (cell.trim() === "") throw new TableError(`${at} is empty; fill it or delete the line.`);
  if (!isNumber(cell)) {
    const remedy = "write numbers like 0.5 or -2e3, or delete the line";
    throw new TableError(`${at}: ${shortened(cell)} is not a number; ${remedy}.`);
  }
  const value = Number(cell);
  if (!(Math.abs(value) <= TABLE_LIMITS.size)) {
    const remedy = "use a smaller unit: at most 1e9 above or below zero";
    throw new TableError(`${at}: ${shortened(cell)} is too large; ${remedy}.`);
  }
  return value;
}

/** Number the classes in their order and check their sizes; return {labels, names}. */
function labelled(records, lead) {
  const places = new Map(); // of the samples of each class
  records.forEach(({ line, cells }, row) => {
    const name = cells.at(lead ? 0 : -1).trim();
    const column = lead ? 1 : cells.length;
    if (!name) throw new TableError(`Line ${line}, column ${column} has no label; give it one.`);
    if (!places.has(name)) places.set(name, []);
    places.get(name).push(row);
    if (places.size > TABLE_LIMITS.classes) {
      const words = `Line ${line} begins an 11th class, ${shortened(name)}`;
      throw new TableError(`${words}; give 2 to 10 classes, or name the other column as label.`);
    }
  });
  if (places.size < 2) {
    const name = shortened([...places.keys()][0]);
    const { line } = records[0];
    throw new TableError(`From line ${line} on there is only the class ${name}; give 2 to 10.`);
  }
  for (const [name, rows] of places) {
    if (rows.length > 1) continue;
    const { line } = records[rows[0]];
    const words = `Line ${line} is the only sample of the class ${shortened(name)}`;
    throw new TableError(`${words}; add another or delete it.`);
  }
  const numeric = [...places.keys()].every(isNumber);
  const names = [...places.keys()].sort((a, b) => (numeric ? a - b : a < b ? -1 : 1));
  const labels = new Uint8Array(records.length);
  names.forEach((name, place) => places.get(name).forEach((row) => (labels[row] = place)));
  return { labels, names };
}

function parted(images, columns, { labels, names }) {
  const seen = new Uint32Array(names.length);
  const kept = Array.from(labels, (label) => seen[label]++ % 4 === 3); // to test on
  const part = (tested) => {
    const rows = [...labels.keys()].filter((row) => kept[row] === tested);
    const chosen = new Float64Array(rows.length * columns);
    rows.forEach((row, place) => {
      chosen.set(images.subarray(row * columns, (row + 1) * columns), place * columns);
    });
    return { images: chosen, labels: Uint8Array.from(rows, (row) => labels[row]) };
  };
  return { train: part(false), test: part(true), classes: names.length, names, columns };
}

function shortened(text) {
  const words = text.trim().replace(/\s+/g, " ");
  return `“${words.length > 24 ? `${words.slice(0, 23)}…` : words}”`;
}
