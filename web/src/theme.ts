// Light, dark, or as the system is. It is kept in this browser.
export type Theme = 'system' | 'light' | 'dark'

const key = 'theme'

export function theme(): Theme {
  const t = localStorage.getItem(key)
  return t === 'light' || t === 'dark' ? t : 'system'
}

export function setTheme(t: Theme) {
  if (t === 'system') localStorage.removeItem(key)
  else localStorage.setItem(key, t)
  apply()
}

export function apply() {
  const t = theme()
  if (t === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = t
}
