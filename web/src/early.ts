// What a page will ask for is asked for before it is drawn: the answer comes while the browser is still at work.
import { ask, cache } from './api.ts'
import { filterOf } from './pages/filters.ts'

const pages = {
  '/hosts': ask.hosts,
  '/updates': ask.updates,
  '/images': ask.images,
  '/packages': ask.packages,
  '/vulnerabilities': ask.vulnerabilities,
}

export function askEarly({ pathname, search }: Location) {
  void cache.prefetchQuery(ask.me())
  const params = new URLSearchParams(search)
  if (pathname === '/') void cache.prefetchQuery(ask.summary())
  else if (pathname in pages && !params.has('by') && !params.has('name')) {
    const path = pathname as keyof typeof pages
    void cache.prefetchInfiniteQuery(pages[path](filterOf(path, params)) as ReturnType<typeof ask.hosts>)
  }
}
