import { useQuery } from '@tanstack/react-query'
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useState } from 'react'
import { Problem, told } from '../core/client.ts'
import { plain } from '../core/format.ts'
import type { Caller } from '../core/types.ts'
import { ask, cache, client } from './api.ts'
import { Empty, Failed, Loading } from './components/bits.tsx'
import { listen, useLine } from './live.ts'
import { Fault } from './components/fault.tsx'
import { Palette } from './components/palette.tsx'
import { Add } from './pages/add.tsx'
import { Audit } from './pages/audit.tsx'
import { History } from './pages/history.tsx'
import { Host } from './pages/host.tsx'
import { Hosts } from './pages/hosts.tsx'
import { Images } from './pages/images.tsx'
import { Overview } from './pages/overview.tsx'
import { Packages } from './pages/packages.tsx'
import { SignIn } from './pages/sign-in.tsx'
import { Update } from './pages/update.tsx'
import { Updates } from './pages/updates.tsx'
import { go, Link, useLocation } from './router.tsx'
import { may } from './who.ts'

// What is opened now and then comes when it is.
const Work = lazy(() => import('./pages/work.tsx').then((m) => ({ default: m.Work })))
const Rollout = lazy(() => import('./pages/rollout.tsx').then((m) => ({ default: m.Rollout })))
const Job = lazy(() => import('./pages/job.tsx').then((m) => ({ default: m.Job })))
const Vulnerabilities = lazy(() => import('./pages/vulnerabilities.tsx').then((m) => ({ default: m.Vulnerabilities })))
const Vulnerability = lazy(() => import('./pages/vulnerability.tsx').then((m) => ({ default: m.Vulnerability })))
const Settings = lazy(() => import('./pages/settings/settings.tsx').then((m) => ({ default: m.Settings })))

const menu: [path: string, text: string][] = [
  ['/', 'Overview'],
  ['/vulnerabilities', 'Vulnerabilities'],
  ['/updates', 'Updates'],
  ['/hosts', 'Hosts'],
  ['/images', 'Images'],
  ['/packages', 'Packages'],
  ['/history', 'History'],
  ['/work', 'Work'],
  ['/settings', 'Settings'],
]

// decoded reads a part of an address; what cannot be read is left as it is.
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

// page is what stands at an address.
function page(path: string, me: Caller): ReactNode {
  const [, name = '', id = '', more] = path.split('/')
  if (more === undefined) {
    if (name === 'hosts' && id) return <Host key={id} id={id} me={me} />
    if (name === 'updates' && /^\d+$/.test(id)) return <Update key={id} id={Number(id)} me={me} />
    if (name === 'vulnerabilities' && id) return <Vulnerability key={id} id={decoded(id)} me={me} />
    if (name === 'rollouts' && /^\d+$/.test(id)) return <Rollout key={id} id={Number(id)} me={me} />
    if (name === 'jobs' && /^\d+$/.test(id)) return <Job key={id} id={Number(id)} me={me} />
    if (!id) {
      switch (name) {
        case '':
        case 'sign-in':
          return <Overview />
        case 'vulnerabilities':
          return <Vulnerabilities me={me} />
        case 'updates':
          return <Updates me={me} />
        case 'hosts':
          return <Hosts me={me} />
        case 'images':
          return <Images />
        case 'packages':
          return <Packages />
        case 'history':
          return <History />
        case 'work':
          return <Work />
        case 'audit':
          return <Audit me={me} />
        case 'add':
          return <Add me={me} />
        case 'settings':
          return <Settings me={me} />
      }
    }
  }
  return (
    <Empty>
      <h1>Not found</h1>
      <p>
        There is nothing at this address. <Link href="/">To the overview</Link>
      </p>
    </Empty>
  )
}

// isAt says whether a page is part of what a word of the menu leads to.
const isAt = (path: string, to: string) => (to === '/' ? path === '/' : path.startsWith(to) || (to === '/work' && /^\/(rollouts|jobs)\//.test(path)))

// typing says whether a key is for a field.
const typing = (e: KeyboardEvent) => e.target instanceof HTMLElement && (e.target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName))

// useKeys: / goes to the search of the page, or to that of everything where the page has none; Ctrl K always to the latter.
function useKeys(search: () => void) {
  useEffect(() => {
    const pressed = (e: KeyboardEvent) => {
      const everything = e.key === 'k' && (e.ctrlKey || e.metaKey) && !e.altKey
      const here = e.key === '/' && !e.ctrlKey && !e.metaKey && !e.altKey && !typing(e)
      if (!everything && !here) return
      e.preventDefault()
      const field = here ? document.querySelector<HTMLInputElement>('[data-search]') : null
      if (!field) return search()
      field.focus()
      field.select()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [search])
}

export function App() {
  const me = useQuery({ ...ask.me(), retry: (n, error) => n < 2 && !(error instanceof Problem && error.status === 401) })
  const out = me.error instanceof Problem && me.error.status === 401
  useEffect(() => (me.data && !out ? listen() : undefined), [me.data !== undefined, out])
  if (out) return <SignIn />
  if (me.data) return <Shell me={me.data} />
  if (me.isError)
    return (
      <main className="narrow">
        <Failed error={me.error} again={() => void me.refetch()} />
      </main>
    )
  return <Loading />
}

// closeMenu closes what is a popover on a small screen, and nothing of the kind on a large one.
const closeMenu = () => document.getElementById('menu')?.hidePopover()

function Shell({ me }: { me: Caller }) {
  const { path } = useLocation()
  const [searching, setSearching] = useState(false)
  const search = useCallback(() => setSearching(true), [])
  const close = useCallback(() => setSearching(false), [])
  useKeys(search)
  const pages: [string, string][] = may(me, 'administer') ? [...menu.slice(0, -1), ['/audit', 'Audit'], ...menu.slice(-1)] : menu
  const all: [string, string][] = may(me, 'administer') ? [...pages, ['/add', 'Add hosts']] : pages
  async function signOut() {
    try {
      await told(client.DELETE('/session'))
    } finally {
      cache.clear()
      go('/', true)
      await cache.invalidateQueries({ queryKey: ['me'] })
      location.reload()
    }
  }
  return (
    <>
      <a className="skip" href="#main">
        To the content
      </a>
      <header>
        <Link href="/" className="brand">
          <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
            <path d="M3 1h2v14H3zM5 2h9l-3 3.5L14 9H5z" />
          </svg>
          RedFlag
        </Link>
        <button className="find" onClick={search} aria-keyshortcuts="Control+K">
          Search <kbd>/</kbd>
        </button>
        <button className="menu" popoverTarget="menu">
          Menu
        </button>
        <div id="menu" popover="auto">
          <nav aria-label="Pages">
            {pages.map(([to, text]) => (
              <Link key={to} href={to} aria-current={isAt(path, to) ? 'page' : undefined} onClick={closeMenu}>
                {text}
              </Link>
            ))}
          </nav>
          <div className="who">
            <span className="quiet">{plain(me.name)}</span>
            <button onClick={() => void signOut()}>Sign out</button>
          </div>
        </div>
      </header>
      <Palette pages={all} open={searching} close={close} />
      <Lost />
      <main id="main" tabIndex={-1}>
        <Fault at={path}>
          <Suspense fallback={<Loading />}>{page(path, me)}</Suspense>
        </Fault>
      </main>
    </>
  )
}

// Lost says that the page cannot be up to date.
function Lost() {
  const { line, since } = useLine()
  return (
    <div role="status" className="lost" hidden={line !== 'lost'}>
      {line === 'lost' && <>The server does not answer since {new Date(since).toLocaleTimeString()}. What you see is from before; it is asked again all the time.</>}
    </div>
  )
}
