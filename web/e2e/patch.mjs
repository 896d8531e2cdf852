// What to patch first: from a feed to the one job that mends what is exploited.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

// whatToPatchFirst is a story on a page that is signed in, and has played hosts. It gives the addresses that every test of all pages is to look at too.
export async function whatToPatchFirst({ page, site, step, look, control, data }) {
  const stays = async (work) => {
    await page.evaluate(() => (window.stays = true))
    await work()
    assert.equal(await page.evaluate(() => window.stays), true)
  }
  const first = (id) => page.getByRole('table', { name: 'Vulnerabilities' }).getByRole('row').nth(1).getByRole('link', { name: id, exact: true }).waitFor()
  const send = (text, from) => page.request.post(`${site}/api/v1/advisories?from=${from}`, { data: text, headers: { Origin: site, 'Content-Type': 'application/octet-stream' } })

  await step('without advisories the page says so, and not that nothing is vulnerable', async () => {
    await page.goto(`${site}/vulnerabilities`)
    await page.getByText('That is not the same as no vulnerabilities').waitFor()
    await page.goto(`${site}/`)
    await page.getByText('whether anything here is exploited is not known').waitFor()
    await page.getByRole('link', { name: 'What to do' }).click()
    await page.getByText('No feeds: nothing that is installed is compared with anything').waitFor()
  })

  await step('a feed is imported, a refused one says why, and what hosts have is there without a reload', async () => {
    await page.getByLabel('Import a feed').setInputFiles({ name: 'cut.json', mimeType: 'application/json', buffer: Buffer.from('{"curl": {"CVE-2023-38545": {"rel') })
    await page.getByRole('button', { name: 'Import', exact: true }).click()
    await page.getByRole('alert').filter({ hasText: /not whole|in the middle/ }).waitFor()
    await page.getByLabel('Import a feed').setInputFiles(`${data}/tracker.json`)
    await page.getByRole('button', { name: 'Import', exact: true }).click()
    await page.getByText('debian-tracker: ').waitFor()
    await page.goto(`${site}/vulnerabilities`)
    await page.getByRole('link', { name: 'CVE-2023-38545' }).waitFor()
    await page.getByRole('link', { name: 'CVE-2024-2398' }).waitFor()
    assert.equal(await page.getByRole('link', { name: 'CVE-2024-2379' }).count(), 0, 'Debian never had it')
    const csv = await (await page.request.get(`${site}/api/v1/vulnerabilities?format=csv`)).text()
    assert.match(csv, /CVE-2023-38545/)
  })

  await step('what is exploited is first as soon as that is known, and old feeds are told', async () => {
    await page.getByText('act now', { exact: true }).first().waitFor() // a word of the filter
    const kev = (id, date) => JSON.stringify({ title: 'CISA', catalogVersion: date, dateReleased: `${date}T00:00:00Z`, count: 1, vulnerabilities: [{ cveID: id, dateAdded: '2024-01-02', dueDate: '2024-01-23', knownRansomwareCampaignUse: 'Known' }] })
    await stays(async () => {
      assert.ok((await send(kev('CVE-2024-2398', '2025-01-01'), 'kev.json')).ok())
      await first('CVE-2024-2398')
      await page.getByText('ransomware', { exact: true }).waitFor()
      await page.getByText('was due 2024-01-23').waitFor()
      await page.getByText('The feed kev is old').waitFor()
      assert.ok((await send(kev('CVE-2023-38545', '2025-01-02'), 'kev.json')).ok())
      await first('CVE-2023-38545')
    })
    await look('vulnerabilities')
    await page.goto(`${site}/updates?sort=priority`)
    const row = page.getByRole('table', { name: 'Updates' }).getByRole('row').nth(1)
    await row.getByRole('link', { name: 'CVE-2023-38545' }).waitFor()
    assert.match(await row.innerText(), /curl[^]*act now[^]*is exploited/)
    const host = (await (await page.request.get(`${site}/api/v1/hosts?q=db1`)).json()).items[0].id
    await page.goto(`${site}/hosts/${host}`)
    await page.getByRole('row').filter({ hasText: 'act now' }).getByRole('link', { name: 'CVE-2023-38545' }).waitFor()
    await page.goto(`${site}/`)
    await page.getByRole('heading', { name: 'Act now' }).waitFor()
    await page.getByRole('link', { name: /CVE-2023-38545/ }).click()
    await page.getByRole('heading', { name: 'CVE-2023-38545' }).waitFor()
  })

  await step('filters of vulnerabilities are in the address', async () => {
    await page.goto(`${site}/vulnerabilities`)
    await page.getByRole('button', { name: 'act now' }).click()
    await page.waitForURL(/bucket=act\+now/)
    await page.getByLabel('Search vulnerabilities').fill('curl')
    await page.waitForURL(/search=curl/)
    await page.getByText('1 in all').waitFor()
    await page.reload()
    await page.getByText('1 in all').waitFor()
    await page.getByLabel('Fix').selectOption('none')
    await page.getByText('No vulnerability is like that.').waitFor()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('38545')
    await page.getByRole('option', { name: 'CVE-2023-38545' }).click()
    await page.getByRole('heading', { name: 'CVE-2023-38545' }).waitFor()
  })

  await step('a decision that it does not count has an owner, a reason and a last day, and is undone', async () => {
    await page.getByRole('button', { name: 'Suppress…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Reason').fill('no proxy speaks SOCKS here')
    await look('suppress')
    await dialog.getByRole('button', { name: 'Suppress', exact: true }).click()
    await page.getByText(/^Suppressed as not affected by .* no proxy speaks SOCKS here$/).waitFor()
    await page.goto(`${site}/vulnerabilities?bucket=act+now&suppressed=false`)
    await page.getByText('No vulnerability is like that.').waitFor()
    await control('run-out') // as time does
    for (let n = 0; n === 0; ) n = (await (await page.request.get(`${site}/api/v1/vulnerabilities?bucket=act+now&suppressed=false`)).json()).items.length
    await page.reload()
    await first('CVE-2023-38545')
    await page.goto(`${site}/settings?tab=advisories`)
    await page.getByText(/ran out on .*: it counts again/).waitFor()
    await page.getByRole('link', { name: 'CVE-2023-38545' }).click()
    await page.getByText('That has run out, and it counts again.').waitFor()
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('no proxy speaks SOCKS here').first().waitFor({ state: 'hidden' })
  })

  await step('from a vulnerability to its hosts, and to the one job that mends it', async () => {
    const hosts = page.getByRole('table', { name: 'Hosts that have it' })
    await hosts.getByRole('link', { name: 'web2' }).waitFor()
    await look('vulnerability')
    await page.getByRole('button', { name: /^Mend on \d hosts…$/ }).waitFor()
    await page.getByLabel('Choose web2').check()
    await page.getByRole('button', { name: 'Mend on 1 host…' }).click()
    await look('mend')
    await page.getByRole('dialog').getByRole('button', { name: 'Make the plan' }).click()
    await page.getByRole('heading', { name: 'Update curl on 1 host' }).waitFor()
    await page.getByRole('button', { name: 'Approve for 1 host…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Approve for 1 host' }).click()
    await page.locator('.legend').getByText('done, verified').waitFor()
  })

  await step('what is mended on disk and still runs is told, and a restart ends that', async () => {
    await page.goto(`${site}/vulnerabilities/CVE-2023-38545`)
    const row = page.getByRole('table', { name: 'Hosts that have it' }).getByRole('row').filter({ hasText: 'web2' })
    await row.getByText('still in memory').waitFor()
    assert.match(await row.innerText(), /ssh\.service/)
    await page.getByRole('button', { name: 'Restart what runs it…' }).click()
    await page.getByRole('dialog', { name: 'Restart services of web2?' }).getByRole('button', { name: 'Restart', exact: true }).click()
    await page.getByRole('heading', { name: 'Restart services on 1 host' }).waitFor()
  })

  await step('a release that nobody cares for any more is told, and its hosts are found', async () => {
    assert.ok((await send(readFileSync(`${data}/distro-info/debian.csv`), 'debian.csv')).ok())
    await page.goto(`${site}/hosts?support=ended`)
    await page.getByText('1 in all').waitFor()
    await page.getByText('out of support', { exact: true }).waitFor()
    await page.getByRole('link', { name: 'web1' }).click()
    await page.getByText(/Out of support/).waitFor()
  })

  const host = (await (await page.request.get(`${site}/api/v1/hosts?q=db1`)).json()).items[0].id
  return ['/vulnerabilities', '/vulnerabilities/CVE-2023-38545', `/hosts/${host}?tab=vulnerabilities`, '/settings?tab=advisories']
}

// seesOnly is what a viewer has of it: all of the knowledge, and nothing to do.
export async function seesOnly(viewer) {
  await viewer.goto(new URL('/vulnerabilities', viewer.url()).href)
  await viewer.getByRole('link', { name: 'CVE-2023-38545' }).click()
  await viewer.getByRole('heading', { name: 'CVE-2023-38545' }).waitFor()
  await viewer.getByRole('table', { name: 'Hosts that have it' }).waitFor()
  for (const name of [/^Mend on/, 'Suppress…', 'Remove']) assert.equal(await viewer.getByRole('button', { name }).count(), 0, String(name))
  assert.equal(await viewer.getByRole('checkbox').count(), 0)
  await viewer.goto(new URL('/settings?tab=advisories', viewer.url()).href)
  await viewer.getByText('debian-tracker').first().waitFor()
  for (const name of ['Import', 'Remove']) assert.equal(await viewer.getByRole('button', { name }).count(), 0, name)
}
