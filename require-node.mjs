// Loaded before everything else, by whatever Node is there: plain enough for an old one to read.
const needed = 26
const found = process.versions.node

if (Number(found.split('.')[0]) < needed) {
  process.stderr.write(
    `Parley needs Node ${needed} and this is ${found}: run \`npm install\` or, after one without scripts, ` +
      '`npm rebuild node`; then start it through npm (`npm start`, `npm test`).\n',
  )
  process.exit(1)
}
