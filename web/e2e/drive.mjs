// Drives the dashboard in a real Chromium against a real server. What the hosts do meanwhile is asked of the test that started this, at CONTROL.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const { LINK, CONTROL, CHROMIUM, SHOTS } = process.env
const site = new URL(LINK).origin
const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
const control = async (what) => {
  const answer = await fetch(`${CONTROL}/${what}`)
  assert.equal(answer.status, 200, what)
  return answer.text()
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
const faults = []

// open gives a page whose faults are noted.
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
  const page = await context.newPage()
  page.on('pageerror', (e) => faults.push(e.message))
  page.on('console', (m) => {
    if (m.type() === 'error' && !/401|403|409|ERR_CONNECTION|Failed to load resource/.test(m.text())) faults.push(m.text())
  })
  page.on('request', (r) => {
    if (!r.url().startsWith(site) && !r.url().startsWith('data:')) faults.push(`a request to ${r.url()}`)
  })
  return page
}

async function step(name, work) {
  try {
    await work()
    console.log(`ok ${name}`)
  } catch (e) {
    throw new Error(`${name}: ${e.message}`, { cause: e })
  }
}

const page = await open()

await step('the link signs in, once', async () => {
  await page.goto(LINK)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('No hosts yet').waitFor()
  const other = await open()
  await other.goto(LINK)
  await other.getByRole('button', { name: 'Sign in' }).click()
  await other.getByText('was used').waitFor()
  await other.context().close()
})

await step('a host that joins is seen without a reload', async () => {
  await page.goto(`${site}/add`)
  await page.getByLabel('Labels').fill('site=berlin')
  await page.getByRole('button', { name: 'Make a token' }).click()
  await page.getByText('install.sh').waitFor()
  await page.goto(`${site}/`)
  await page.evaluate(() => (window.stays = true))
  await control('join')
  await page.getByText('1 security update').waitFor()
  assert.equal(await page.evaluate(() => window.stays), true)
})

await step('filters are in the address, and survive reload and back', async () => {
  await page.getByText('1 security update').click()
  await page.waitForURL('**/updates?security=true')
  await page.goto(`${site}/updates`)
  await page.getByLabel('Search updates by name').waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('curl')
  await page.waitForURL('**/updates?q=curl')
  await page.reload()
  await page.getByRole('link', { name: 'curl' }).waitFor()
  assert.equal(await page.getByLabel('Search updates by name').inputValue(), 'curl')
  await page.getByRole('link', { name: 'curl' }).click()
  await page.getByRole('heading', { name: 'curl' }).waitFor()
  await page.getByRole('link', { name: 'web1' }).waitFor()
  await page.goBack()
  await page.getByLabel('Search updates by name').waitFor()
  assert.equal(await page.getByLabel('Search updates by name').inputValue(), 'curl')
})

await step('what is patched leaves the page without a reload', async () => {
  await page.getByRole('link', { name: 'curl' }).waitFor()
  await page.evaluate(() => (window.stays = true))
  await control('patch')
  await page.getByText('No update is like that.').waitFor()
  assert.equal(await page.evaluate(() => window.stays), true)
  await page.goto(`${site}/history`)
  await page.getByText('installed').first().waitFor()
})

await step('text of hosts is text', async () => {
  await page.goto(`${site}/hosts`)
  await page.getByText('<img src=x onerror=alert(1)>').first().waitFor()
  assert.equal(await page.locator('main img').count(), 0)
})

await step('scan now, and what becomes of it', async () => {
  await page.goto(`${site}/hosts`)
  await page.getByRole('link', { name: 'web1' }).click()
  await page.getByRole('button', { name: 'Scan now' }).click()
  await page.getByText('Waiting for the host…').waitFor()
  await control('obey')
  await page.getByText('Scan succeeded').waitFor()
})

await step('a host that is silent turns to unknown', async () => {
  await control('silence')
  await page.getByText('it was last seen at').waitFor()
})

await step('a server that is away is told, and comes back', async () => {
  await control('away')
  await page.getByText('The server does not answer since').waitFor()
  await control('back')
  await page.getByText('The server does not answer since').waitFor({ state: 'hidden' })
})

await step('a viewer sees, and does nothing', async () => {
  const viewer = await open()
  await viewer.goto(await control('viewer'))
  await viewer.getByRole('button', { name: 'Sign in' }).click()
  await viewer.getByRole('navigation').waitFor()
  await viewer.goto(`${site}/hosts`)
  await viewer.getByRole('link', { name: 'web1' }).click()
  await viewer.getByRole('heading', { name: 'web1' }).waitFor()
  assert.equal(await viewer.getByRole('button', { name: 'Scan now' }).count(), 0)
  const id = new URL(viewer.url()).pathname.split('/')[2]
  const status = await viewer.evaluate(async (id) => (await fetch(`/api/v1/hosts/${id}/scan`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' })).status, id)
  assert.equal(status, 403)
  await viewer.context().close()
})

await step('no page has a barrier, is too wide, or has a fault', async () => {
  const id = (await (await page.request.get(`${site}/api/v1/hosts?q=web1`)).json()).items[0].id
  const pages = ['/', '/hosts', `/hosts/${id}`, `/hosts/${id}?tab=packages`, `/hosts/${id}?tab=facts`, '/updates', '/images', '/packages', '/packages?name=curl', '/history', '/history?what=appeared', '/add', '/settings', '/settings?tab=users', '/settings?tab=keys', '/settings?tab=tokens', '/nothing']
  for (const [width, colorScheme] of [[1440, 'light'], [1440, 'dark'], [360, 'light'], [360, 'dark']]) {
    const looked = await open({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true, storageState: await page.context().storageState() })
    for (const path of pages) {
      await looked.goto(site + path)
      await looked.locator('main h1').first().waitFor()
      await looked.locator('.loading').waitFor({ state: 'detached' })
      assert.ok(await looked.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is wider than ${width}`)
      await looked.evaluate(axe)
      const found = await looked.evaluate(async () => (await window.axe.run()).violations.map((v) => `${v.id}: ${v.nodes[0].html}`))
      assert.deepEqual(found, [], `${path} at ${width}, ${colorScheme}`)
      if (SHOTS) await looked.screenshot({ path: `${SHOTS}/${path.replace(/\W+/g, '_')}-${width}-${colorScheme}.png` })
    }
    await looked.context().close()
  }
})

await step('signing out ends it', async () => {
  await page.getByRole('button', { name: 'Sign out' }).first().click()
  await page.getByLabel('Password').waitFor()
  assert.equal((await page.request.get(`${site}/api/v1/hosts`)).status(), 401)
})

await browser.close()
assert.deepEqual(faults, [])
