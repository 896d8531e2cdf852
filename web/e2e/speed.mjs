// Measures what a person waits for, in a real Chromium: the first row of a list against the API's own time, and the frames of a long list
// that scrolls. It prints figures, and fails at nothing.
import { chromium } from 'playwright-core'

const { LINK, CHROMIUM, KEY, ROWS = '10000' } = process.env
const site = new URL(LINK).origin
const tries = 9
const middle = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
const print = (name, ...rest) => console.log(name.padEnd(44), ...rest)

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
const first = await browser.newContext({ viewport: { width: 1440, height: 900 } })
const page = await first.newPage()
await page.goto(LINK)
await page.getByRole('button', { name: 'Sign in' }).first().click()
await page.getByRole('navigation').waitFor()
const storageState = await first.storageState()

// What the page asks for before its first row, one after the other.
async function api(path) {
  const times = []
  for (let i = 0; i < tries; i++) {
    const began = performance.now()
    for (const p of ['/me', path]) await (await fetch(`${site}/api/v1${p}`, { headers: { Authorization: `Bearer ${KEY}` } })).text()
    times.push(performance.now() - began)
  }
  return middle(times)
}

// How long until the first row, in a browser that has seen nothing yet.
async function rows(path) {
  const times = []
  for (let i = 0; i < tries; i++) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, storageState })
    const fresh = await context.newPage()
    await fresh.addInitScript(() => {
      new MutationObserver((_, o) => {
        if (!document.querySelector('[role=rowgroup] [role=row]')) return
        o.disconnect()
        requestAnimationFrame(() => (window.firstRow = performance.now()))
      }).observe(document, { childList: true, subtree: true })
    })
    await fresh.goto(site + path)
    await fresh.waitForFunction(() => window.firstRow)
    times.push(await fresh.evaluate(() => window.firstRow))
    await context.close()
  }
  return middle(times)
}

for (const [path, asked] of [['/hosts', '/hosts?limit=200'], ['/updates', '/updates?limit=200'], ['/packages', '/packages?limit=200']]) {
  const [ours, theirs] = [await rows(path), await api(asked)]
  print(`first row of ${path}`, `${ours.toFixed(0)} ms, the API alone ${theirs.toFixed(1)} ms: bound ${(1.5 * theirs + 300).toFixed(0)} ms, ${(ours / (1.5 * theirs + 300)).toFixed(2)} of it`)
}

// A list of so many rows, and then a scroll through all of it.
await page.goto(`${site}/history?what=appeared`)
await page.getByRole('row').nth(1).waitFor()
for (;;) {
  const n = await page.evaluate(async () => {
    scrollTo(0, document.documentElement.scrollHeight)
    await new Promise((done) => setTimeout(done, 60))
    return Number(document.querySelector('main p[aria-live]').textContent.replace(/\D/g, ''))
  })
  if (n >= Number(ROWS)) break
}
const scroll = (step) => page.evaluate(async (step) => {
  scrollTo(0, 0)
  await new Promise((done) => setTimeout(done, 500))
  const gaps = []
  let last = performance.now()
  for (let y = 0, n = 0; n < 400; n++) {
    await new Promise((done) => requestAnimationFrame(done))
    const now = performance.now()
    gaps.push(now - last)
    last = now
    scrollTo(0, (y += step))
  }
  gaps.sort((a, b) => a - b)
  return { rate: (1000 * gaps.length) / gaps.reduce((a, b) => a + b), late: gaps[Math.floor(gaps.length * 0.99)] }
}, step)
for (const [how, step] of [['nothing moves', 0], ['a wheel, 120 pixels a frame', 120], ['a dragged thumb, 900 pixels a frame', 900]]) {
  const frames = await scroll(step)
  print(`${ROWS} rows, ${how}`, `${frames.rate.toFixed(1)} frames a second, 99 of 100 within ${frames.late.toFixed(1)} ms`)
}
await browser.close()
