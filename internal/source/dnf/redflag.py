# RedFlag's word with dnf 4, as a plugin of dnf: `dnf redflag REQUEST ANSWER` marks what the file REQUEST says, has dnf resolve it, and writes
# the transaction to the file ANSWER. A request to plan ends there. One to apply goes on only if the transaction is the one that was approved.
# It uses dnf's documented API alone (DNF API Reference; what is not in it is marked), from 4.7 on. Python 3.6.
import fnmatch
import json
import os
import shutil

import dnf
import dnf.cli
import dnf.exceptions
import dnf.goal
import dnf.selector
import dnf.transaction
import dnf.util
import hawkey

# MAX_EXPLAINED bounds for how many packages the solver is asked why they are kept back: each costs a run of it.
MAX_EXPLAINED = 50


def package(pkg):
    return {
        'name': pkg.name, 'epoch': pkg.epoch, 'version': pkg.version, 'release': pkg.release, 'arch': pkg.arch, 'repo': pkg.reponame,
        'download': pkg.downloadsize, 'size': pkg.installsize, 'summary': pkg.summary or '', 'source': pkg.sourcerpm or '',
        'vendor': getattr(pkg, 'vendor', '') or '',  # not in the API
    }


def key(pkg):
    return (pkg.name, int(pkg.epoch), pkg.version, pkg.release, pkg.arch)


class RedFlag(dnf.Plugin):
    name = 'redflag'

    def __init__(self, base, cli):
        super(RedFlag, self).__init__(base, cli)
        self.base = base
        if cli is not None:
            cli.register_command(Command)

    def resolved(self):
        command = getattr(self.base, 'redflag', None)
        if command is not None:
            command.resolved()

    def pre_transaction(self):
        command = getattr(self.base, 'redflag', None)
        if command is not None:
            command.veto()


class Command(dnf.cli.Command):
    aliases = ('redflag',)
    summary = 'plan or carry out what RedFlag requests'

    @staticmethod
    def set_argparser(parser):
        parser.add_argument('request')
        parser.add_argument('answer')

    def configure(self):
        with open(self.opts.request) as f:
            self.request = json.load(f)
        self.base.redflag = self
        demands = self.cli.demands
        demands.sack_activation = True
        demands.available_repos = True
        demands.resolving = self.request['mode'] != 'keep'  # dnf's version locks count only where something is resolved
        demands.root_user = self.request['mode'] == 'apply'
        demands.allow_erasing = False
        demands.fresh_metadata = False  # what is known is what is planned with, however old: to refresh is another command
        conf = self.base.conf
        conf.clean_requirements_on_remove = False  # what is not named is not removed
        conf.best = not self.request.get('all', False)  # what is named comes in that version or not at all
        self.enabled = [r.id for r in self.base.repos.iter_enabled()]
        self.answer = {'dnf': dnf.const.VERSION, 'repos': [], 'updates': [], 'obsoleting': [], 'excluded': [], 'transaction': None, 'kept_back': {},
                       'duplicates': [], 'installonly': []}

    def run(self):
        for repo in self.base.repos.iter_enabled():
            self.answer['repos'].append({'id': repo.id, 'cache': repo._repo.getCachedir()})  # not in the API
        loaded = [r['id'] for r in self.answer['repos']]
        self.answer['missing'] = [r for r in self.enabled if r not in loaded]
        installonly = self.base.sack.query().installed().filter(provides=self.base.conf.installonlypkgs)
        self.answer['installonly'] = sorted(set(p.name for p in installonly))
        seen = {}
        for p in self.base.sack.query().installed():
            if p.name not in self.answer['installonly'] and p.name != 'gpg-pubkey':
                seen.setdefault(p.name + '.' + p.arch, []).append(p)
        self.answer['duplicates'] = sorted(k for k, v in seen.items() if len(v) > 1)
        if self.request['mode'] == 'scan':
            self.scan()
            self.write()
            return
        if self.request['mode'] == 'keep':
            self.keep()
            self.write()
            return
        self.mark()

    # keep downloads packages that an undo would need, as far as repositories have them, and copies them: dnf deletes what it was not asked to install.
    def keep(self):
        for want in self.request['keep']:
            for p in list(self.find(self.base.sack.query().available(), want))[:1]:
                try:
                    self.base.download_packages([p])
                except dnf.exceptions.DownloadError:
                    continue  # whoever asked sees that it is not there
                shutil.copy(p.localPkg(), self.request['dir'])

    def scan(self):
        query = self.base.sack.query()
        updates = self.latest(query.upgrades())
        self.answer['updates'] = [package(p) for p in updates]
        for p in self.latest(query.available().filter(obsoletes=query.installed())) if self.base.conf.obsoletes else []:
            for old in query.installed().filter(provides=p.obsoletes):
                if old.name != p.name:
                    self.answer['obsoleting'].append({'new': package(p), 'old': package(old)})
        offered = set((p.name, p.arch) for p in updates)
        everything = self.base.sack.query(flags=hawkey.IGNORE_REGULAR_EXCLUDES)
        for p in self.latest(everything.upgrades()):
            if (p.name, p.arch) not in offered:
                self.answer['excluded'].append({'package': package(p), 'because': self.excluded_by(p)})
        self.simulate(updates)

    def latest(self, query):
        return sorted(query.latest(1), key=key)

    def excluded_by(self, pkg):
        lists = [('excludepkgs in the configuration', self.base.conf.excludepkgs)]
        if pkg.reponame in self.base.repos:
            lists.append(('excludepkgs of the repository ' + pkg.reponame, self.base.repos[pkg.reponame].excludepkgs))
        for name, patterns in lists:
            for pattern in patterns:
                if any(fnmatch.fnmatch(form, pattern) for form in (pkg.name, pkg.name + '.' + pkg.arch, str(pkg))):
                    return name + ': ' + pattern
        return ''

    # simulate solves a full upgrade, as `dnf upgrade` does, and says of the rest why not.
    def simulate(self, updates):
        goal = dnf.goal.Goal(self.base.sack)
        goal.add_protected(self.base.sack.query().filter(name=list(self.base.conf.protected_packages)))
        goal.upgrade_all()
        if not goal.run():
            self.answer['unsolved'] = dnf.util._format_resolve_problems(goal.problem_rules())  # not in the API
            return
        coming = set(key(p) for p in goal.list_upgrades() + goal.list_installs() + goal.list_downgrades())
        for p in [p for p in updates if key(p) not in coming]:
            self.answer['kept_back'][str(p.name) + '.' + p.arch] = self.why_not(p) if len(self.answer['kept_back']) < MAX_EXPLAINED else ''

    def why_not(self, pkg):
        goal = dnf.goal.Goal(self.base.sack)
        selector = dnf.selector.Selector(self.base.sack)
        selector.set(pkg=[pkg])
        goal.install(select=selector)
        if goal.run():
            return ''
        return dnf.util._format_resolve_problems(goal.problem_rules())

    def mark(self):
        if self.request.get('all'):
            self.base.upgrade_all()
        for want in self.request.get('want') or []:
            self.one(want)
        files = [w['file'] for w in self.request.get('back') or [] if w.get('file')]
        local = {}
        for p in self.base.add_remote_rpms(files) if files else []:
            local[key(p)] = p
        for want in self.request.get('back') or []:
            if want['action'] == 'remove':
                for p in self.find(self.base.sack.query().installed(), want):
                    self.base.package_remove(p)
                continue
            found = [local[k] for k in [self.wanted(want)] if k in local] or list(self.find(self.base.sack.query().available(), want))
            if not found:
                raise dnf.exceptions.Error('redflag: nowhere: %(name)s %(epoch)s:%(version)s-%(release)s.%(arch)s' % want)
            self.take(found[0])

    def wanted(self, w):
        return (w['name'], int(w['epoch']), w['version'], w['release'], w['arch'])

    def find(self, query, w):
        return query.filter(name=w['name'], epoch=int(w['epoch']), version=w['version'], release=w['release'], arch=w['arch'])

    def one(self, want):
        found = list(self.find(self.base.sack.query().available(), want))
        if not found:
            raise dnf.exceptions.Error('redflag: nowhere: %(name)s %(epoch)s:%(version)s-%(release)s.%(arch)s' % want)
        self.take(found[0])

    # take marks a package so that the reason why its predecessor was installed stays: upgrades and downgrades keep it.
    def take(self, pkg):
        same = self.base.sack.query().installed().filter(name=pkg.name, arch=pkg.arch)
        if not same or pkg.name in self.answer['installonly']:
            self.base.package_install(pkg)
        elif any(p.evr_gt(pkg) for p in same):
            self.base.package_downgrade(pkg)
        else:
            self.base.package_upgrade(pkg)

    def resolved(self):
        if self.request['mode'] == 'scan':
            raise dnf.exceptions.Error('redflag: planned')
        self.restore_reasons()
        self.answer['transaction'] = self.transaction()
        self.write()
        if self.request['mode'] == 'plan':
            raise dnf.exceptions.Error('redflag: planned')
        self.veto()

    # restore_reasons has what comes back because another package needs it known as that: dnf takes what it is told by name for what a person chose.
    def restore_reasons(self):
        automatic = [self.wanted(w) for w in self.request.get('back') or [] if w.get('automatic')]
        for item in self.base.transaction:
            if item.action in dnf.transaction.FORWARD_ACTIONS and key(item.pkg) in automatic:
                item.reason = self.reason('DEPENDENCY')  # not in the API

    def transaction(self):
        done = []
        for item in self.base.transaction:
            if item.action in dnf.transaction.FORWARD_ACTIONS:
                way = 'in'
            elif item.action in dnf.transaction.BACKWARD_ACTIONS:
                way = 'out'
            else:
                continue  # a change of reasons alone
            entry = package(item.pkg)
            entry['way'] = way
            entry['action'] = item.action_name
            entry['automatic'] = item.reason in (self.reason('DEPENDENCY'), self.reason('WEAK_DEPENDENCY'))
            done.append(entry)
        return done

    @staticmethod
    def reason(name):
        import libdnf.transaction
        return getattr(libdnf.transaction, 'TransactionItemReason_' + name, None)

    # veto stops whatever is not the transaction that was approved. dnf calls it after it has resolved, and again when nothing more can change.
    def veto(self):
        if self.request['mode'] != 'apply':
            raise dnf.exceptions.Error('redflag: planned')
        approved = sorted((a['way'],) + self.wanted(a) for a in self.request['approved'])
        now = sorted((t['way'],) + self.wanted(t) for t in self.transaction())
        if approved != now:
            more = ['%s %s-%s:%s-%s.%s' % t for t in now if t not in approved]
            less = ['%s %s-%s:%s-%s.%s' % t for t in approved if t not in now]
            raise dnf.exceptions.Error('redflag: not what was approved: it would now have [%s] and not have [%s]' % (', '.join(more), ', '.join(less)))

    def write(self):
        with open(self.opts.answer + '.new', 'w') as f:
            json.dump(self.answer, f)
        os.rename(self.opts.answer + '.new', self.opts.answer)
