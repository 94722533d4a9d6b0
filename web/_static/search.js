// A word that no page has is replaced by the most similar one of the index, so that a search survives a typo.
{
  // How many letters differ between a stem and the beginning of a word.
  const difference = (stem, word) => {
    let line = Array.from({ length: word.length + 1 }, (_, i) => i);
    for (let i = 1; i <= stem.length; i++) {
      const next = [i];
      for (let j = 1; j <= word.length; j++)
        next.push(Math.min(line[j] + 1, next[j - 1] + 1, line[j - 1] + (stem[i - 1] !== word[j - 1])));
      line = next;
    }
    return Math.min(...line.slice(stem.length - 1));
  };
  const similar = (word, stems) => {
    const found = stems.filter((stem) => stem.length > 3 && stem.length > word.length / 2)
      .map((stem) => [difference(stem, word), Math.abs(stem.length - word.length), stem])
      .filter(([letters]) => letters <= Math.max(1, word.length / 5))
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    return found.length ? found[0][2] : word;
  };
  const query = Search.query;
  Search.query = (text) => {
    const stems = Object.keys({ ...Search._index.terms, ...Search._index.titleterms });
    const stemmer = new Stemmer();
    const missing = (word) => {
      const stem = stemmer.stemWord(word);
      return word.length > 3 && !stopwords.has(word) && !stems.some((known) => known.includes(stem));
    };
    const words = splitQuery(text.toLowerCase());
    const better = words.map((word) => (missing(word) ? similar(word, stems) : word));
    const changed = words.filter((word, i) => word !== better[i]);
    if (!changed.length) return query(text);
    const note = document.createElement("p");
    note.textContent = `No page has “${changed.join("” or “")}”. These pages have a similar word.`;
    Search.status.before(note);
    return query(better.join(" "));
  };
}
