//! What a program is called: its executable, or what its interpreter runs.

/// Options of interpreters that take the next argument with them.
const WITH_VALUE: &[(&str, &[&str])] = &[
    ("python", &["-W", "-X", "-Q", "--check-hash-based-pycs"]),
    ("java", &["-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--upgrade-module-path"]),
    ("node", &["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"]),
    ("ruby", &["-I", "-r", "-C", "-E"]),
    ("perl", &["-I"]),
    ("php", &["-c", "-d", "-z"]),
    ("sh", &["-o", "+o"]),
];

/// Options after which the program text itself follows: there is nothing to name it by.
const INLINE: &[&str] = &["-c", "-e", "--eval", "-p", "--print", "-r"];

/// Programs that load an application named by a later argument, and the option that names it if one does.
const LAUNCHERS: &[(&str, &[&str])] = &[
    ("gunicorn", &[]),
    ("uvicorn", &[]),
    ("hypercorn", &[]),
    ("daphne", &[]),
    ("waitress-serve", &[]),
    ("granian", &[]),
    ("celery", &["-A", "--app"]),
    ("flask", &["--app", "-A"]),
];

fn interpreter(executable: &str) -> Option<&'static str> {
    const FAMILIES: &[(&str, &[&str])] = &[
        ("python", &["python", "pypy"]),
        ("java", &["java"]),
        ("node", &["node", "nodejs", "bun", "deno"]),
        ("ruby", &["ruby"]),
        ("perl", &["perl"]),
        ("php", &["php"]),
        ("sh", &["sh", "bash", "dash", "zsh", "busybox"]),
    ];
    // `python3.11` and `php8.2` are their families; `nodepool` is not `node`.
    let stem = executable.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    FAMILIES.iter().find(|(_, names)| names.contains(&stem)).map(|(family, _)| *family)
}

/// The last component of a path.
pub(crate) fn base(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The argument that says which service an interpreter runs: a script, a module, a jar, a class, `module:app`.
pub(crate) fn naming_argument<'a>(executable: &str, args: &[&'a str]) -> Option<&'a str> {
    let family = interpreter(base(executable))?;
    let with_value = WITH_VALUE.iter().find(|(name, _)| *name == family).map_or(&[][..], |(_, options)| options);
    let mut rest = args.iter().skip(1).copied();
    while let Some(argument) = rest.next() {
        match argument {
            "-jar" | "-m" | "--module" => return rest.next().map(|name| launched(name, rest).unwrap_or(name)),
            "--" => return rest.next(),
            _ if with_value.contains(&argument) => drop(rest.next()),
            _ if family != "java" && INLINE.contains(&argument) => return None,
            _ if argument.starts_with('-') || argument.is_empty() => {}
            // A deno or bun subcommand is not the script.
            "run" if family == "node" => {}
            script => return Some(launched(script, rest).unwrap_or(script)),
        }
    }
    None
}

/// What a launcher such as gunicorn loads: the value of its option, or the first `module:object`.
fn launched<'a>(script: &str, rest: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (_, options) = LAUNCHERS.iter().find(|(name, _)| *name == base(script))?;
    let mut rest = rest.peekable();
    while let Some(argument) = rest.next() {
        if options.contains(&argument) {
            return rest.next();
        }
        let is_application = argument.split_once(':').is_some_and(|(module, object)| {
            !module.is_empty() && !object.is_empty() && !object.starts_with(|c: char| c.is_ascii_digit())
        });
        if is_application && !argument.starts_with('-') && !argument.contains('/') {
            return Some(argument);
        }
    }
    None
}

/// The name people know a program by.
///
/// `args` are the process's arguments, its own name first.
pub fn program_name(executable: &str, args: &[&str]) -> String {
    match naming_argument(executable, args) {
        Some(argument) => base(argument).to_owned(),
        None => base(executable).trim_end_matches(" (deleted)").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::program_name;

    fn check(command: &str, want: &str) {
        let args: Vec<_> = command.split(' ').collect();
        assert_eq!(program_name(args[0], &args), want, "{command}");
    }

    #[test]
    fn names_of_programs() {
        check("/usr/sbin/nginx -g daemon", "nginx");
        check("/usr/bin/python3.11 /srv/shop/app.py --port 80", "app.py");
        check("/usr/bin/python3 -X dev -u app.py", "app.py");
        check("/usr/bin/python3 -m http.server 80", "http.server");
        check("/usr/bin/python3 -c print(1)", "python3");
        check("/usr/bin/python3 /usr/bin/gunicorn -b 0.0.0.0:80 shop.wsgi:app", "shop.wsgi:app");
        check("/usr/bin/python3 -m uvicorn --host 0.0.0.0 stock:app", "stock:app");
        check("/usr/bin/python3 /usr/bin/celery -A jobs worker", "jobs");
        check("/usr/bin/python3 /usr/bin/gunicorn", "gunicorn");
        check("/usr/bin/java -Xmx1g -cp /a:/b -Dx=y com.acme.Main run", "com.acme.Main");
        check("/usr/bin/java -jar /opt/cart.jar", "cart.jar");
        check("/usr/bin/node --require x server.js", "server.js");
        check("/usr/bin/node -e code", "node");
        check("/usr/bin/php8.2 -d a=b worker.php", "worker.php");
        check("/bin/bash -o pipefail run.sh", "run.sh");
        check("/usr/bin/redis-server 127.0.0.1:6379", "redis-server");
        check("/usr/bin/python3", "python3");
    }
}
