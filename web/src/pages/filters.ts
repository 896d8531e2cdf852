// By what the rows of a page can be chosen: the parameters of its address, which are those of the API.
import type { Filter } from '../../core/queries.ts'

const filters = {
  '/hosts': ['q', 'state', 'label', 'reboot', 'restart', 'support', 'sort'],
  '/updates': ['q', 'source', 'kind', 'security', 'blocked', 'sort'],
  '/images': ['q', 'answer'],
  '/packages': ['prefix'],
  '/vulnerabilities': ['search', 'bucket', 'exploited', 'severity', 'fix', 'group', 'suppressed'],
}

export function filterOf(path: keyof typeof filters, params: URLSearchParams): Filter {
  return Object.fromEntries(filters[path].map((name) => [name, params.get(name) ?? undefined]))
}
