// Addresses are the state of a page: what is filtered and shown can be sent to somebody.
import { type AnchorHTMLAttributes, useMemo, useSyncExternalStore } from 'react'

const went = 'redflag:went'

function subscribe(changed: () => void) {
  addEventListener('popstate', changed)
  addEventListener(went, changed)
  return () => {
    removeEventListener('popstate', changed)
    removeEventListener(went, changed)
  }
}

// go opens another page; with replace it is no step back.
export function go(to: string, replace = false) {
  if (to === location.pathname + location.search) return
  history[replace ? 'replaceState' : 'pushState'](null, '', to)
  dispatchEvent(new Event(went))
  if (!replace) scrollTo(0, 0)
}

export function useLocation() {
  const href = useSyncExternalStore(subscribe, () => location.pathname + location.search)
  return useMemo(() => {
    const url = new URL(href, location.origin)
    return { path: url.pathname, params: url.searchParams }
  }, [href])
}

// useParam is a parameter of the address. Empty takes it out.
export function useParam(name: string): [string, (value: string) => void] {
  const { path, params } = useLocation()
  return [
    params.get(name) ?? '',
    (value) => {
      const next = new URLSearchParams(params)
      if (value) next.set(name, value)
      else next.delete(name)
      const query = next.toString()
      go(query ? `${path}?${query}` : path, true)
    },
  ]
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }

// Link opens a page of ours without loading everything anew. A click that asks for another tab gets it.
export function Link({ href, onClick, ...rest }: LinkProps) {
  return (
    <a
      {...rest}
      href={href}
      onClick={(e) => {
        onClick?.(e)
        if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
        e.preventDefault()
        go(href)
      }}
    />
  )
}

// to writes an address with its parameters.
export function to(path: string, params: Record<string, string | undefined> = {}): string {
  const query = new URLSearchParams()
  for (const [k, v] of Object.entries(params)) if (v) query.set(k, v)
  const text = query.toString()
  return text ? `${path}?${text}` : path
}
