// Drives the dashboard in a real Chromium against a real server. What the hosts do meanwhile is asked of the test that started this, at CONTROL.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { seesOnly, whatToPatchFirst } from './patch.mjs'

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
  page.setDefaultTimeout(20_000)
  page.on('pageerror', (e) => faults.push(e.message))
  page.on('console', (m) => {
    if (m.type() === 'error' && !/401|403|409|ERR_CONNECTION|Failed to load resource/.test(m.text())) faults.push(m.text())
  })
  page.on('request', (r) => {
    if (!r.url().startsWith(site) && !r.url().startsWith(site.replace('127.0.0.1', 'localhost')) && !r.url().startsWith('data:')) faults.push(`a request to ${r.url()}`)
  })
  return page
}

async function step(name, work) {
  const began = performance.now()
  try {
    await work()
    console.log(`ok ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  } catch (e) {
    await look('failed')
    throw new Error(`${name}: ${e.message}`, { cause: e })
  }
}

const page = await open()
const hostile = '<img src=x onerror=alert(1)>'

// look keeps a picture of what is there, where pictures are wanted.
async function look(name, on = page) {
  if (SHOTS) await on.screenshot({ path: `${SHOTS}/${name}.png` })
}

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
  await page.waitForURL(/security=true/)
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

await step('security updates on 3 hosts are planned, and what the hosts do otherwise is on top', async () => {
  await control('fleet')
  await page.goto(`${site}/hosts?label=site%3Dberlin`)
  for (const host of ['db1', 'shop1', 'web2']) await page.getByLabel(`Choose ${host}`).check()
  await page.getByText('3 hosts chosen').waitFor()
  await page.getByRole('button', { name: 'Install updates…' }).click()
  const asked = page.getByRole('dialog')
  await asked.getByText('db1, shop1, web2', { exact: true }).waitFor()
  await asked.getByLabel('Restart services').check()
  await asked.getByRole('button', { name: 'Make the plan' }).click()
  await page.getByRole('heading', { name: 'Security updates on 3 hosts' }).waitFor()
  await page.getByText('1 host is asked what they would do.').waitFor()
  await look('rollout-planning')
  await page.getByRole('button', { name: 'Approve for 2 hosts…' }).click()
  const early = page.getByRole('dialog')
  await early.getByText('1 host is not in this: 1 planning.').waitFor()
  await control('may-plan')
  await early.getByText('shop1 has a plan now').waitFor() // what was looked at is not what is there by now
  assert.ok(await early.getByRole('button', { name: 'Approve' }).isHidden())
  await early.getByRole('button', { name: 'Show what is planned now' }).click()
  await early.getByRole('button', { name: 'Approve for 3 hosts' }).waitFor()
  await page.keyboard.press('Escape')
  await early.waitFor({ state: 'hidden' })
  const plan = page.locator('.plan')
  await plan.getByText('In what the hosts differ: 3 plans').waitFor()
  const first = plan.locator('.variant').first()
  assert.match(await first.innerText(), /db1[^]*removed[^]*libold1[^]*Mind: libold1 is removed[^]*openssl\.cnf/, 'who loses something is on top')
  assert.match(await plan.innerText(), /What all of them would change: 2 upgrades[^]*curl[^]*libssl3/)
  await look('rollout-plan')
})

// standing waits until so many hosts are so far.
const standing = (n, state) => page.locator('.legend li').filter({ hasText: new RegExp(`^${n}\\W+${state}$`) }).waitFor()

const jobOf = (on) => new URL(on.url()).pathname.split('/')[2]

let rollout
await step('what is approved is what was looked at', async () => {
  rollout = Number(new URL(page.url()).pathname.split('/')[2])
  const stale = await page.request.post(`${site}/api/v1/rollouts/${rollout}/approve`, { data: { digest: 'sha256:0' }, headers: { Origin: site } })
  assert.equal(stale.status(), 409)
  await page.getByRole('button', { name: 'Approve for 3 hosts…' }).click()
  const sure = page.getByRole('dialog')
  assert.match(await sure.innerText(), /1 removal[^]*remove libold1 on 1 host/)
  await look('rollout-approve')
  await sure.getByRole('button', { name: 'Approve for 3 hosts' }).dblclick() // a second click changes nothing
  await sure.waitFor({ state: 'hidden' })
  await standing(3, 'running')
})

await step('all hosts are watched live, and one of them with its whole log', async () => {
  await page.getByText('unpack libssl3').first().waitFor()
  await page.getByText('web2, line 1501').waitFor()
  await look('rollout-live')
  await page.getByRole('link', { name: 'web2' }).click()
  await page.getByRole('heading', { name: 'Security updates on web2' }).waitFor()
  const log = page.locator('.log')
  await log.getByText('web2, line 1501').waitFor()
  assert.ok((await log.locator('.line').count()) < 150, 'only the lines in sight are there')
  await log.focus()
  await page.keyboard.press('Home')
  await log.getByText('Reading database').waitFor()
  await page.evaluate(() => (window.stays = true))
  await control('go-on')
  await page.getByText('done, verified').first().waitFor()
  assert.equal(await page.evaluate(() => window.stays), true)
  await log.getByText('Reading database').waitFor() // who has scrolled up stays there
  await page.getByRole('button', { name: 'To the end' }).click()
  await log.getByText(hostile).waitFor()
  assert.equal(await log.locator('img').count(), 0)
  await page.getByText('3,003 lines', { exact: true }).waitFor()
  const text = await (await page.request.get(`${site}/api/v1/jobs/${jobOf(page)}/log`)).text()
  const lines = text.trimEnd().split('\n')
  assert.equal(lines.length, 3003)
  assert.equal(new Set(lines).size, 3003, 'none twice')
  await page.getByText('/etc/ssl/openssl.cnf').first().waitFor()
  await look('job-done')
})

await step('a failure and a rollback are shown as what they are', async () => {
  await page.getByRole('link', { name: 'The whole rollout' }).click()
  await page.getByText('It has ended, and not as wanted on 2 hosts.').waitFor()
  assert.match(await page.getByRole('table', { name: 'Hosts of this rollout' }).innerText(), /db1[^]*failed[^]*exit status 1[^]*shop1[^]*rolled back[^]*not healthy[^]*web2[^]*done, verified/)
  await look('rollout-done')
  await page.getByRole('link', { name: 'db1' }).first().click()
  await page.getByText('not all of it is done').waitFor()
  assert.match(await page.locator('main').innerText(), /Left half done[^]*curl[^]*does not run any more[^]*postgresql\.service[^]*Not done[^]*curl/)
  await look('job-failed')
  await page.getByRole('button', { name: 'Repair…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Repair', exact: true }).click()
  await page.getByRole('heading', { name: 'Repair on 1 host' }).waitFor()
  await standing(1, 'done')
  await page.goto(`${site}/rollouts/${rollout}`)
  await page.getByRole('link', { name: 'shop1' }).first().click()
  await page.getByText('the host runs what it ran before').waitFor()
  const csv = await (await page.request.get(`${site}/api/v1/rollouts/${rollout}/jobs?format=csv`)).text()
  assert.match(csv, /db1.*failed/)
})

await step('what was done is undone, by a plan like any other', async () => {
  await page.goto(`${site}/rollouts/${rollout}`)
  await page.getByRole('link', { name: 'web2' }).first().click()
  await page.getByRole('button', { name: 'Undo…' }).click()
  await page.getByRole('heading', { name: 'Undo on 1 host' }).waitFor()
  await page.getByRole('button', { name: 'Approve for 1 host…' }).click()
  assert.match(await page.getByRole('dialog').innerText(), /2 downgrades[^]*downgrade curl on 1 host/)
  await page.getByRole('dialog').getByRole('button', { name: 'Approve for 1 host' }).click()
  await standing(1, 'done, verified')
  await page.goto(`${site}/work`)
  await page.getByRole('link', { name: 'Undo' }).waitFor()
  await page.getByRole('link', { name: 'Repair' }).waitFor()
  await look('work')
})

await step('what has not begun is stopped', async () => {
  await page.goto(`${site}/updates`)
  await page.getByLabel('Choose curl 7.88.1-11').check()
  await page.getByLabel('Choose example/shop:3').check()
  await page.getByRole('button', { name: 'Install them…' }).click()
  const parts = page.getByRole('dialog')
  await parts.getByText('2 plans are made').waitFor() // curl is on hosts that have no shop
  await look('install-parts')
  await page.keyboard.press('Escape')
  await page.getByLabel('Choose example/shop:3').uncheck()
  await page.getByRole('button', { name: 'Install them…' }).click()
  assert.equal(await page.getByLabel('Packages, images or containers').inputValue(), 'curl')
  await page.getByRole('button', { name: 'Make the plan' }).click()
  await page.getByRole('heading', { name: 'Update curl on 3 hosts' }).waitFor()
  await page.getByRole('button', { name: 'Approve for 3 hosts…' }).click()
  await page.getByRole('dialog').getByText('1 host will refuse: shop1').waitFor() // its policy is told before it is tried
  await look('refusing')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Cancel…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
  await page.getByText('It was stopped before anything was changed.').waitFor()
})

const advised = await whatToPatchFirst({ page, site, step, look, control, data: '../internal/advisory/testdata' })

await step('a group is asked at once, and those that do not answer are left out of the approval', async () => {
  const made = await page.request.post(`${site}/api/v1/groups`, { data: { name: 'berlin', query: 'site=berlin' }, headers: { Origin: site } })
  assert.ok(made.ok())
  await page.goto(`${site}/settings?tab=groups`)
  await page.getByRole('button', { name: 'Install updates…' }).click()
  await page.getByRole('dialog', { name: 'Install updates on the group berlin' }).waitFor()
  await page.getByRole('button', { name: 'Make the plan' }).click()
  await page.getByRole('heading', { name: 'Security updates on 5 hosts' }).waitFor()
  await page.getByRole('button', { name: 'Approve for 3 hosts…' }).waitFor()
  await standing(2, 'planning')
  await page.getByRole('button', { name: 'Cancel…' }).click()
  await page.getByRole('dialog').getByText('5 hosts have not begun.').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
  await page.getByText('It was stopped before anything was changed.').waitFor()
})

await step('what a host’s policy forbids is not offered, and the page says why', async () => {
  await page.goto(`${site}/hosts?q=web1`)
  await page.getByRole('link', { name: 'web1' }).click()
  await page.getByText('the host’s policy cannot be read, so it allows reports only').waitFor()
  for (const name of ['Install updates…', 'Restart services…', 'Reboot…', 'Repair…']) assert.ok(await page.getByRole('button', { name }).isDisabled(), name)
  assert.ok(await page.getByRole('button', { name: 'Release zlib1g' }).isDisabled())
  await page.getByRole('button', { name: 'Facts' }).click()
  await page.getByText('line 3: there is no setting').waitFor()
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
  await viewer.goto(new URL('/hosts', viewer.url()).href)
  await viewer.getByRole('link', { name: 'web1' }).click()
  await viewer.getByRole('heading', { name: 'web1' }).waitFor()
  for (const name of ['Scan now', 'Install updates…', 'Reboot…', 'Hold']) assert.equal(await viewer.getByRole('button', { name }).count(), 0, name)
  await viewer.goto(new URL('/hosts', viewer.url()).href)
  await viewer.getByRole('link', { name: 'web1' }).waitFor()
  assert.equal(await viewer.getByRole('checkbox').count(), 0)
  await viewer.goto(new URL(`/rollouts/${rollout}`, viewer.url()).href)
  await viewer.getByRole('table', { name: 'Hosts of this rollout' }).waitFor()
  assert.equal(await viewer.getByRole('button', { name: 'Undo…' }).count(), 0)
  await viewer.goto(new URL('/hosts?q=web1', viewer.url()).href)
  await viewer.getByRole('link', { name: 'web1' }).click()
  await viewer.getByRole('heading', { name: 'web1' }).waitFor()
  const id = new URL(viewer.url()).pathname.split('/')[2]
  const status = await viewer.evaluate(async (id) => (await fetch(`/api/v1/hosts/${id}/scan`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' })).status, id)
  assert.equal(status, 403)
  await seesOnly(viewer)
  await viewer.context().close()
})

await step('no page has a barrier, is too wide, or has a fault', async () => {
  const id = (await (await page.request.get(`${site}/api/v1/hosts?q=web1`)).json()).items[0].id
  const jobs = (await (await page.request.get(`${site}/api/v1/rollouts/${rollout}/jobs`)).json()).items
  const pages = ['/', '/hosts', `/hosts/${id}`, `/hosts/${id}?tab=packages`, `/hosts/${id}?tab=facts`, '/updates', '/images', '/packages', '/packages?name=curl', '/history', '/history?what=appeared', '/updates?by=package', '/updates?by=label', '/updates?by=host', '/work', '/work?what=jobs', '/work?what=scans', `/rollouts/${rollout}`, ...jobs.map((j) => `/jobs/${j.id}`), `/hosts/${jobs[0].host}`, `/hosts/${jobs[0].host}?tab=jobs`, '/audit', '/add', '/settings', '/settings?tab=groups', '/settings?tab=server', '/settings?tab=users', '/settings?tab=keys', '/settings?tab=tokens', '/nothing', ...advised]
  for (const [width, schemes] of [[1440, ['light', 'dark']], [360, ['light']]]) {
    const looked = await open({ viewport: { width, height: 900 }, bypassCSP: true, storageState: await page.context().storageState() })
    for (const path of pages) {
      await looked.goto(site + path)
      await looked.locator('main h1').first().waitFor()
      await looked.waitForFunction(() => !document.querySelector('.loading'))
      assert.ok(await looked.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is wider than ${width}`)
      await looked.evaluate(axe)
      for (const colorScheme of schemes) {
        await looked.emulateMedia({ colorScheme })
        const found = await looked.evaluate(async () => (await window.axe.run()).violations.map((v) => `${v.id}: ${v.nodes[0].html}`))
        assert.deepEqual(found, [], `${path} at ${width}, ${colorScheme}`)
        await look(`${path.replace(/\W+/g, '_')}-${width}-${colorScheme}`, looked)
      }
    }
    await looked.context().close()
  }
})

await step('the longest and oddest texts are text', async () => {
  await control('huge')
  for (const width of [1440, 360]) {
    await page.setViewportSize({ width, height: 900 })
    for (const path of ['/updates?q=zz-huge', '/hosts', '/history?what=appeared']) {
      await page.goto(site + path)
      await page.getByText(path.includes('hosts') ? 'web1' : 'zz-huge').first().waitFor()
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is wider than ${width}`)
      const text = await page.locator('main').innerText()
      assert.ok(!/[\u202a-\u202e\u2066-\u2069\u001b]/.test(text), `${path} shows what turns text around`)
      assert.ok(text.length < 20_000, `${path} shows ${text.length} characters`)
      assert.equal(await page.locator('main img').count(), 0)
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 })
})

// What a person does without a mouse. Each step of the tabulator is one that can be seen.
async function tabTo(on, name) {
  for (let i = 0; i < 120; i++) {
    await on.keyboard.press('Tab')
    const at = await on.evaluate(() => {
      const e = document.activeElement
      const style = getComputedStyle(e)
      return { name: (e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent).trim(), seen: style.outlineStyle !== 'none' || e === document.body }
    })
    if (at.name === name) {
      assert.ok(at.seen, `the focus on ${name} is not seen`)
      return
    }
  }
  throw new Error(`${name} is not reached by the keyboard`)
}

const owner = await open()

await step('by the keyboard alone: sign in, find a host, label it', async () => {
  await owner.goto(await control('owner'))
  await tabTo(owner, 'Sign in')
  await owner.keyboard.press('Enter')
  await owner.getByRole('navigation').waitFor()
  await owner.keyboard.press('Control+k')
  await owner.keyboard.type('web1')
  await owner.getByRole('option', { name: 'web1' }).waitFor()
  await owner.keyboard.press('Enter')
  await owner.getByRole('heading', { name: 'web1' }).waitFor()
  await tabTo(owner, 'Facts')
  await owner.keyboard.press('Enter')
  await tabTo(owner, 'Labels of this host')
  await owner.keyboard.press('Control+a')
  await owner.keyboard.type('site=berlin, env=<b>prod</b>')
  await owner.keyboard.press('Enter')
  await owner.getByText('Saved.').waitFor()
  await owner.goto(new URL('/updates?by=label&label=env', owner.url()).href)
  await owner.getByRole('link', { name: '<b>prod</b>' }).waitFor()
})

await step('by the keyboard alone: choose hosts, plan, approve, and read what came of it', async () => {
  await owner.goto(new URL('/hosts?label=site%3Dberlin', owner.url()).href)
  await owner.getByLabel('Choose db1').waitFor()
  await tabTo(owner, 'Choose db1')
  await owner.keyboard.press('Space')
  await tabTo(owner, 'Choose web2')
  await owner.keyboard.press('Shift+Space') // and all between them
  await owner.getByText('4 hosts chosen').waitFor()
  await tabTo(owner, 'All that match')
  await owner.keyboard.press('Enter')
  await owner.getByText('5 hosts chosen').waitFor()
  await tabTo(owner, 'None')
  await owner.keyboard.press('Enter')
  await tabTo(owner, 'Choose web2')
  await owner.keyboard.press('Space')
  await tabTo(owner, 'Install updates…')
  await owner.keyboard.press('Enter')
  await tabTo(owner, 'Make the plan')
  await owner.keyboard.press('Enter')
  await owner.getByRole('heading', { name: 'Security updates on 1 host' }).waitFor()
  await owner.getByRole('button', { name: 'Approve for 1 host…' }).waitFor()
  await tabTo(owner, 'Approve for 1 host…')
  await owner.keyboard.press('Enter')
  await tabTo(owner, 'Approve for 1 host')
  await owner.keyboard.press('Enter')
  await owner.locator('.legend').getByText('done, verified').waitFor()
  await tabTo(owner, 'web2')
  await owner.keyboard.press('Enter')
  await owner.getByRole('heading', { name: 'Security updates on web2' }).waitFor()
  await tabTo(owner, 'What the tools say on web2')
  await owner.keyboard.press('Home')
  await owner.getByText('Reading database').waitFor()
})

await step('everything that can be clicked is reached by the keyboard', async () => {
  for (const path of ['/', '/hosts', '/updates', '/vulnerabilities', `/rollouts/${rollout}`, '/settings?tab=users']) {
    await owner.goto(new URL(path, owner.url()).href)
    await owner.locator('main h1').first().waitFor()
    await owner.waitForLoadState('networkidle')
    const all = await owner.evaluate(() => {
      const list = [...document.querySelectorAll('a[href], button, input, select, textarea')].filter((e) => e.checkVisibility() && !e.disabled)
      list.forEach((e, i) => (e.dataset.place = String(i)))
      return list.length
    })
    const reached = new Set()
    for (let i = 0; i < all + 20 && reached.size < all; i++) {
      await owner.keyboard.press('Tab')
      const place = await owner.evaluate(() => document.activeElement.dataset.place)
      if (place) reached.add(place)
    }
    assert.equal(reached.size, all, `${path}: ${reached.size} of ${all}`)
  }
})

await step('a session that has run out asks to sign in, and comes back to the same page', async () => {
  await owner.goto(new URL('/settings', owner.url()).href)
  await owner.getByLabel('New', { exact: true }).fill('correct horse')
  await owner.getByRole('button', { name: 'Change the password' }).click()
  await owner.getByText('Sign in to RedFlag').waitFor() // a new password ends every session
  await signIn('correct horse')
  await owner.getByRole('navigation').waitFor()
  await owner.goto(new URL('/hosts?q=web1', owner.url()).href)
  await owner.getByRole('link', { name: 'web1' }).waitFor()
  await control('expire')
  await owner.getByRole('link', { name: 'Updates' }).click()
  await owner.getByText('Sign in to RedFlag').waitFor()
  await signIn('correct horse')
  await owner.getByRole('heading', { name: 'Updates' }).waitFor()
})

async function signIn(password) {
  await owner.getByLabel('Name').fill('olga')
  await owner.getByLabel('Password').fill(password)
  await owner.getByRole('button', { name: 'Sign in', exact: true }).click()
}

// code is what an authenticator shows (RFC 6238), so many spans from now.
function code(secret, later = 0) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later))
  const sum = createHmac('sha1', key).update(counter).digest()
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

await step('a code of an authenticator is asked for, once it is set up', async () => {
  await owner.goto(new URL('/settings', owner.url()).href)
  await owner.getByRole('button', { name: 'Set up codes' }).click()
  await owner.getByRole('img', { name: 'QR code' }).waitFor()
  const secret = (await owner.locator('.copy code').first().innerText()).trim()
  await owner.getByLabel('The code that it shows now').fill(code(secret, -1))
  await owner.getByRole('button', { name: 'Turn on' }).click()
  await owner.getByText('On: a code is asked for').waitFor()
  await owner.getByRole('button', { name: 'Sign out' }).first().click()
  await owner.getByText('Sign in to RedFlag').waitFor()
  await signIn('correct horse')
  await owner.getByLabel('Code').fill('000000')
  await owner.getByRole('button', { name: 'Sign in', exact: true }).click()
  await owner.getByText('the code is wrong').waitFor()
  await owner.getByLabel('Code').fill(code(secret))
  await owner.getByRole('button', { name: 'Sign in', exact: true }).click()
  await owner.getByRole('navigation').waitFor()
})

await step('a passkey signs in without a password', async () => {
  const devtools = await owner.context().newCDPSession(owner)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
  await owner.goto(new URL('/settings', owner.url()).href)
  await owner.getByLabel('Name of a new one').fill('phone')
  await owner.getByRole('button', { name: 'Add a passkey' }).click()
  await owner.getByRole('cell', { name: 'phone' }).waitFor()
  await owner.getByRole('button', { name: 'Sign out' }).first().click()
  await owner.getByRole('button', { name: 'Sign in with a passkey' }).click()
  await owner.getByRole('navigation').waitFor()
  await owner.goto(new URL('/audit?q=passkey', owner.url()).href)
  await owner.getByText('with a passkey').waitFor()
  await owner.context().close()
})

await step('signing out ends it', async () => {
  await page.getByRole('button', { name: 'Sign out' }).first().click()
  await page.getByLabel('Password').waitFor()
  assert.equal((await page.request.get(`${site}/api/v1/hosts`)).status(), 401)
})

await browser.close()
assert.deepEqual(faults, [])
