/**
 * What to do, in Spanish, for the messages that docs/troubleshooting.md lists: some words of the message, and the advice. A
 * message that none of them fits keeps its English.
 */
export const SPANISH_ADVICE: readonly (readonly [words: string, advice: string])[] = [
  // Settings
  [
    'is empty: secret not set, or not available to forks',
    'Falta el secreto en el repositorio o en el Environment de GitHub del trabajo, o la ejecución viene de un fork. Para dejar fuera la parte a propósito: skip.',
  ],
  [
    'Nothing arrived: does the job name the GitHub Environment',
    'No llegó ningún valor: el trabajo tiene que decir environment: staging para recibir los secretos de ese Environment.',
  ],
  [
    'is empty, and so is ssh-host: there is nothing to work on',
    'Indica una base de datos, un servidor, o los dos.',
  ],
  ['is empty: the public address is not asked', 'Pon health-url, o di health-from: vps.'],
  [
    'is a private key, which belongs into ssh-private-key',
    'Dos secretos están cambiados. Si era una variable, crea una clave nueva: las variables se ven en el registro.',
  ],
  ['belongs to mode: rollback', 'Quítalo: un despliegue que falla deshace exactamente lo que cambió.'],
  [
    'is set, and so is rollback-to',
    'Indica solo uno de los dos: rollback-steps cuenta migraciones, rollback-to nombra código.',
  ],
  [
    'after-health: true has no effect in mode',
    'Es para mode: migrate. Un despliegue aplica esos archivos él mismo cuando la aplicación está sana.',
  ],
  [
    'is a public key',
    'En ssh-private-key va el otro archivo, el que no acaba en .pub; en ssh-fingerprint, lo que imprime ssh-keygen -lf.',
  ],
  [
    'is encrypted, and ssh-passphrase is empty',
    "Da la contraseña en ssh-passphrase, o crea una clave sin ella: ssh-keygen -t ed25519 -N '' -f deploy_key.",
  ],
  [
    'is encrypted with',
    'Vuelve a escribir la clave con un cifrado corriente: ssh-keygen -p -Z aes256-ctr -f deploy_key.',
  ],
  [
    'was given as a flag and can be seen in the process list',
    'Usa la variable de entorno que nombra el mensaje.',
  ],
  [
    'is never closed',
    'El secreto de env-file está cortado, casi siempre en una comilla o un $. Se da el texto, no una ruta.',
  ],
  ['is not used: supabase-project-ref is empty', 'Pon supabase-project-ref, o una database-url de Supabase.'],
  ['holds more than one @', 'Codifica la contraseña de la URL: @ es %40, # es %23.'],
  ['still holds the placeholder for the password', 'La URL se copió con [YOUR-PASSWORD]: pon la contraseña.'],
  ['asks for sslmode=disable', 'Quita sslmode: fuera de esta máquina TLS es obligatorio.'],
  ['is refused on a pull request from a fork', 'Allí usa mode: plan, y despliega con push.'],
  [
    'is in no branch or tag of',
    'El commit es de un fork o fue descartado. Despliega lo que está fusionado; si se subió después del checkout, vuelve a hacer checkout.',
  ],
  ['it is not known whether commit', 'Da fetch-depth: 0 a actions/checkout.'],
  ['means two things', 'Escribe refs/heads/…, refs/tags/… o los 40 dígitos.'],
  ['is not a duration', 'Un número necesita su unidad: 500ms, 10s, 5m, 1h.'],
  // Database
  [
    'the database cannot be reached over the network of this machine',
    'Usa la URL del session pooler (panel de Supabase, Connect): el host directo solo tiene IPv6.',
  ],
  [
    'the certificate of the database is not signed by a known authority',
    'Da el PEM de tu autoridad en database-ca-cert.',
  ],
  [
    'the database refused the login',
    'Usuario o contraseña incorrectos; tras un pooler el usuario es postgres.<ref del proyecto>.',
  ],
  [
    'this database belongs to the environment',
    'Se desplegó con otro nombre de entorno. Si no es un error: adopt-environment: true, una vez.',
  ],
  [
    'which is applied already',
    'Una rama se fusionó tarde. Si el archivo no depende de los nuevos: include-all: true; si no, dale una versión más nueva.',
  ],
  [
    'pg_dump is not installed',
    'Instala un pg_dump que no sea más antiguo que el servidor, o di backup: off.',
  ],
  [
    'NODE_TLS_REJECT_UNAUTHORIZED=0 is set in this job',
    'Aquí no cuenta. Da a conocer tu autoridad con NODE_EXTRA_CA_CERTS.',
  ],
  ['which is not supported', 'Quita ese parámetro de database-url.'],
  [
    'the pooler does not take what database-url asks for',
    'Usa la URL directa, o fija las opciones en el rol (alter role ... set ...).',
  ],
  [
    'a backup cannot be made through a transaction pooler',
    'Usa la URL del session pooler (puerto 5432) o la directa.',
  ],
  [
    'row level security is off',
    'Añade a una migración: alter table … enable row level security, y una policy; o di rls: off.',
  ],
  ['deletes data', 'Lo que el código anterior todavía usa espera en un archivo con -- deploy: after-health.'],
  ['locks its table', 'Mientras corre, nadie puede usar la tabla; el mensaje dice cómo evitarlo.'],
  ['blocked by', 'Otra sesión tiene la tabla; el mensaje dice cómo terminarla.'],
  [
    'the deploy lock of this database is held by',
    'Otra ejecución está migrando. Se la espera (lock-wait); no hay nada que desbloquear a mano.',
  ],
  [
    'was edited after it was applied',
    'El cambio no llega a esta base de datos. Devuelve el archivo a como estaba y haz el cambio en una migración nueva.',
  ],
  ['was never run: version', 'Dos archivos tomaron la misma versión: da a este una posterior.'],
  [
    'was applied in part',
    'El próximo despliegue sigue detrás de lo aplicado: deja esa parte del archivo como está.',
  ],
  [
    'it cannot be told whether it was done',
    'Mira en la base de datos si se hizo y ejecuta una de las dos líneas de SQL del mensaje.',
  ],
  ['has been edited since', 'Devuelve la sentencia a como estaba y cambia lo que hizo en otra posterior.'],
  [
    'and the database could not be asked since',
    'Ejecuta otra vez cuando se pueda llegar a la base de datos.',
  ],
  [
    'has been at work on',
    'El servidor aún ejecuta una sentencia de una ejecución cortada. Espera, y ejecuta otra vez.',
  ],
  ['invalid; the next run drops that', 'Ejecuta otra vez; no hay que hacer nada a mano.'],
  ['no migration file has the version', 'baseline son los dígitos del principio del nombre de un archivo.'],
  ['no file here', 'Trae los archivos que faltan (supabase migration fetch), o di missing-migrations: warn.'],
  [
    'has no down file',
    'Con irreversible-migrations: refuse cada archivo pendiente necesita <versión>_<nombre>.down.sql.',
  ],
  [
    'the role may not write the migration history',
    'Despliega con el rol al que pertenece el historial; el mensaje lista los permisos que faltan.',
  ],
  ['which row level security hides', 'Despliega con el dueño de las tablas, o ejecuta el grant del mensaje.'],
  ['means nothing', 'Escribe -- deploy: after-health en una línea propia, antes de la primera sentencia.'],
  ['and nothing is pending', 'Añade la migración que lo arregla, o corrige lo que se exige.'],
  ['every query of it fails with', 'Falla una policy: corrígela, o la función que llama.'],
  ['does not last until here', 'Usa la URL del session pooler, o vuelve a hacerlo en esa parte del archivo.'],
  [
    'as in psql: this deploy is not all or nothing',
    'El archivo tiene COMMIT propios. Si no es lo que quieres, quítalos.',
  ],
  [
    'would end the transaction in the middle of the file',
    'Quita ese ROLLBACK, COMMIT AND CHAIN o PREPARE TRANSACTION.',
  ],
  [
    'behind a transaction pooler what line',
    'Usa la URL del session pooler (puerto 5432), o un archivo propio con nombres calificados.',
  ],
  [
    'a table is locked by another session, so the state',
    'El despliegue siguió. Mira quién retiene una tabla tanto tiempo.',
  ],
  ['is too large to be parsed', 'Divide el archivo.'],
  ['runs to undo the file', 'Mueve la parte que deshace a <versión>_<nombre>.down.sql.'],
  ['is named as Flyway has it', 'Nombra cada archivo <dígitos>_<nombre>.sql, dentro de migrations-dir.'],
  [
    'stands here, which looks like a blank or like nothing',
    'Escribe ese lugar otra vez: hay un carácter invisible.',
  ],
  [
    'the server says:',
    'Es un aviso de PostgreSQL. «already exists, skipping» significa que la sentencia no hizo nada.',
  ],
  ['is a command of psql, not SQL', 'Quita esa línea.'],
  ['the Management API refused the access token', 'Crea otro token en la cuenta de Supabase.'],
  ['runs each request as one transaction', 'Da database-url para este archivo.'],
  ['the project is paused', 'Reactívalo en el panel, o corrige proyecto, región o usuario en la URL.'],
  ['COPY FROM STDIN needs a client that sends the data', 'Escribe las filas como insert.'],
  ['by other hands', 'Alguien cambió el esquema sin migración: escribe el cambio como migración.'],
  [
    'already exists',
    'Eso existe ya en la base de datos. Si las migraciones se aplicaron a mano, di baseline; si no, usa el SQL del mensaje.',
  ],
  [
    'where there should be none',
    'Añade la migración que arregla lo que encuentra, o corrige la consulta de verify-sql.',
  ],
  [
    'verify-sql: the query of',
    'Corrige la consulta: se ejecuta con el rol de database-url y solo puede leer.',
  ],
  ['holds no SELECT', 'Cada archivo de verify-sql contiene un solo SELECT.'],
  ['holds no .sql file', 'verify-sql nombra una carpeta o un archivo que no está en el repositorio.'],
  ["the database's role cannot read", 'Usa el mismo rol con el que se despliega.'],
  [
    'not measured',
    'La base de prueba no pudo decirlo, por el motivo que sigue; vale lo que dicen las reglas.',
  ],
  [
    'is refused by PostgreSQL here',
    'Una tabla particionada no admite esa forma; el mensaje dice cuál admite.',
  ],
  [
    'the scratch database could not be emptied again',
    'Da una base vacía: un service container es uno por trabajo.',
  ],
  [
    'looks applied, though the history does not say so',
    'Alguien ejecutó esos archivos a mano. Si es así, la línea baseline: del plan los anota sin ejecutarlos.',
  ],
  [
    'some of what the pending files make is there already',
    'Ningún baseline encaja. supabase migration repair --status applied <versión> anota una sola; o escribe los archivos de modo que puedan repetirse.',
  ],
  ['both undo the same migration', 'Una migración tiene un solo archivo .down.sql.'],
  [
    'would run these down files as migrations',
    'La CLI de Supabase ejecuta todo .sql que está junto a las migraciones: lleva los archivos de vuelta a la carpeta down.',
  ],
  ['not read, because down-dir is', 'Con down-dir solo se lee esa carpeta.'],
  ['which the backup does not hold', 'backup: full no guarda las filas de los esquemas de la plataforma.'],
  ['is a variable of psql', 'Aquí nadie la rellena. Una contraseña no va en un archivo: ponla a mano.'],
  // Server
  [
    'is not pinned',
    'Compara la huella del mensaje con la del servidor (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) y ponla en ssh-fingerprint.',
  ],
  [
    'is not the one that was pinned',
    'La clave del servidor cambió: averigua por qué antes de cambiar la huella.',
  ],
  [
    'does not say which server it is for',
    'Con varios servidores escribe delante de cada huella su host, como en ssh-host.',
  ],
  ['asks for a second factor', 'Deja entrar a ese usuario solo con la clave.'],
  [
    'did not run our command',
    'El usuario tiene un shell que no ejecuta nada, o command= en authorized_keys.',
  ],
  [
    'did not accept the private key',
    'La clave pública no está en ~/.ssh/authorized_keys de ese usuario, o el archivo lo pueden escribir otros.',
  ],
  ['is not SSH', 'ssh-port no es el correcto.'],
  [
    'refused the connection',
    'Host o puerto incorrecto, servidor caído, o un cortafuegos que no deja entrar a los runners de GitHub.',
  ],
  [
    'could not be reached',
    'Host o puerto incorrecto, servidor caído, o un cortafuegos que no deja entrar a los runners de GitHub.',
  ],
  [
    'took the connection and then did not finish the SSH handshake',
    'Hay un cortafuegos o fail2ban en medio.',
  ],
  [
    'Another run deploys this application',
    'Se espera a esa ejecución (lock-wait); no hay nada que desbloquear a mano.',
  ],
  ['Another application is being switched on this server', 'No se cambió nada: ejecuta el trabajo otra vez.'],
  ['is not found on the server', 'Instala ese programa para el usuario que entra.'],
  ['PM2 does not know the application', 'app-name no es el que muestra pm2 list para este usuario.'],
  ['git refuses to work in', 'El checkout es de otro usuario: entra con su dueño.'],
  ['is not on the remote', 'El commit no se subió, o fue descartado a la fuerza.'],
  [
    'The server cannot fetch from its remote',
    'El servidor necesita su propia deploy key, o da repository-url con https.',
  ],
  ['but no lock file', 'Añade el lock file al repositorio.'],
  ['(name in build-output', 'Nombra en build-output lo que la aplicación necesita además.'],
  ['has no origin to fetch from', 'Da repository-url.'],
  [
    'Tracked files were changed on the server',
    'Confirma lo que quieras conservar, deshaz el resto allí, o di dirty-checkout: stash.',
  ],
  [
    'The commit brings files that lie untracked on the server',
    'Muévelos, o sácalos del commit si son del servidor (git rm --cached y una línea en .gitignore).',
  ],
  [
    'which lies in the live checkout already with other content',
    'Si es del servidor, nómbralo en shared-paths; si lo hace el build, en build-output.',
  ],
  [
    'would not have what lies in the live folder only',
    'Nombra en shared-paths lo que la aplicación necesita y borra el resto en el servidor.',
  ],
  ['which build-output does not name', 'Nombra todo lo que hace el build, o quita build-output.'],
  ['is built anew with every version', 'Comparte solo lo de dentro, por ejemplo .next/cache.'],
  ['is a symlink on the server, and', 'El mensaje dice cómo llevarlo a su sitio una vez.'],
  [
    'git was told not to look at',
    'Pon los valores en un archivo de entorno y ejecuta el comando del mensaje.',
  ],
  [
    'which is a git checkout and no release',
    'Da como app-path la carpeta a la que lleva, o strategy: releases.',
  ],
  ['which is a symlink in the commit', 'Nombra la carpeta a la que lleva el enlace.'],
  ['which the commit tracks', 'git rm --cached, y una línea en .gitignore.'],
  ['In the place of tracked files lies something else', 'Confirma o deshaz esos cambios en el servidor.'],
  [
    'somebody put it there by hand',
    'Lo que está en marcha no lo desplegó esta acción; de ahí parte una vuelta atrás.',
  ],
  ['.left-behind', 'Lleva a su sitio lo que la aplicación necesita y borra el resto.'],
  ['was left behind by a cut run, and stays', 'Termina ese programa; la próxima ejecución borra la carpeta.'],
  ['ended with', 'El comando falló: mira sus últimas líneas y ejecútalo en tu máquina con este commit.'],
  [
    'was killed (SIGKILL)',
    'Casi siempre falta memoria: añade swap o construye en el trabajo (build-on: runner).',
  ],
  ['are free on the disk of', 'Libera espacio, o baja keep-releases.'],
  ['no longer waits with its prepared version', 'No se escribió nada: ejecuta el workflow otra vez.'],
  ['but the action has not been heard of for', 'El trabajo se cortó; ejecuta el workflow otra vez.'],
  ['Say migrate-before: build', 'El build lee el esquema nuevo: di migrate-before: build.'],
  ['The disk of the server is full', 'Libera espacio: df -h y df -i muestran dónde falta.'],
  [
    'of this run could not be written on the server and',
    'El disco estuvo lleno un rato: faltan líneas en el registro, nada más.',
  ],
  [
    'could not be written down on the server',
    'Lo hecho está hecho; falta la nota, y la próxima ejecución la repone.',
  ],
  ['ended without a result', 'El segundo mensaje dice qué versión está en el servidor y si responde.'],
  ['would lie in one place', 'No se cambió nada: ejecuta el workflow otra vez.'],
  [
    'build-on: runner packs the build of this job, and the checkout is at',
    'Haz checkout del commit que se despliega, instala y construye en pasos anteriores.',
  ],
  ['The build ended with 0, but', 'A Next.js le faltó memoria.'],
  [
    'not rehearsed:',
    'No es un fallo: la versión nueva no se arranca al lado de la que está en marcha, y sigue la razón.',
  ],
  ['Nothing could prove the new version', 'Corrige health-paths o health-port; no se cambió nada.'],
  ['live is down', 'No es culpa del despliegue: sigue, y es la reparación.'],
  [
    'is served by another program',
    'health-port no es el de la aplicación, o quedó un programa viejo: termínalo en el servidor.',
  ],
  [
    'The new version is not healthy on its spare port',
    'La versión en marcha no se tocó; sigue lo que imprimió la nueva.',
  ],
  [
    'is marked bad',
    'Este commit se revirtió aquí. Sube uno que lo arregle; para desplegarlo igualmente, nómbralo con ref.',
  ],
  ['this would be a downgrade', 'Ya hay un commit más nuevo en marcha. Para volver atrás: mode: rollback.'],
  ['cluster mode', 'Habrá un corte en cada despliegue; docs/server.md dice cómo configurar PM2.'],
  ['not the application', 'Habrá un corte en cada despliegue; docs/server.md dice cómo configurar PM2.'],
  ['kill_timeout is', 'Pon kill_timeout: 10000 en el archivo ecosystem.'],
  [
    'The restarted application is not healthy on loopback',
    'La versión anterior está de vuelta; mira pm2 logs en el servidor.',
  ],
  [
    'got no answer within 5 s, though later ones did',
    'Se perdió una conexión en la recarga; docs/server.md dice cómo evitarlo.',
  ],
  [
    'ended with 0 and restarted nothing',
    'La versión anterior está de vuelta. Ejecuta restart-command a mano y mira qué escucha en health-port.',
  ],
  [
    'It is not proven that restart-command restarted the application',
    'Los programas de otro usuario no se ven: mira en recipes.md qué cuenta como prueba.',
  ],
  ['and locks its index', 'Alguien trabaja con git en el checkout; no se cambió nada.'],
  ['Somebody turned the checkout', 'Sube lo que se confirmó allí, o deshazlo; no se cambió nada.'],
  [
    'whose programs cannot be seen on this server',
    'Si ese usuario no tiene git en marcha, borra el archivo.',
  ],
  [
    'The restarted application does not stay up',
    'Se cae una y otra vez; las últimas líneas están en el registro.',
  ],
  ['Does the application have', 'Si la aplicación no tiene esa ruta: health-paths: /.'],
  ['could not be judged: it answers 429', 'Deja las rutas de salud fuera del límite de peticiones.'],
  ['asks for more than the request budget allows', 'Pide menos respuestas buenas, o menos rutas.'],
  ['wants another port too', 'Que la aplicación no abra ese puerto con REHEARSAL=1, o di rehearse: false.'],
  ['cannot be made or turned there', 'Ejecuta el comando del mensaje, o entra con el usuario que dice.'],
  [
    'The user who deploys cannot change',
    'Ejecuta el comando del mensaje, o entra con el dueño de esas carpetas.',
  ],
  [
    "The deploy's own folder",
    'Despliega con el usuario que lo hizo antes; lo que no hizo ningún despliegue tuyo se borra.',
  ],
  ["in the deploy's own folder none is followed", 'Mira quién lo puso, y bórralo.'],
  [
    'can be written by every user of the server',
    'Mira qué dejaron otros, bórralo, y ejecuta el chmod del mensaje.',
  ],
  [
    'who could put something else in its place',
    'Entra con ese usuario, o crea la carpeta de nuevo como root.',
  ],
  ['cannot become a release', 'Ejecuta el comando del mensaje, o di strategy: in-place.'],
  [
    'is readable by fewer users in the new version',
    'Que el usuario que despliega sea miembro de ese grupo; para listas de acceso instala acl.',
  ],
  [
    'was written by a newer version of this action',
    'Usa la misma versión de la acción en todos los workflows.',
  ],
  ['does not say in which format it was written', 'El mensaje dice cómo seguir sin ese archivo.'],
  [
    'cannot be told: the server does not have their history',
    'git fetch --unshallow en el servidor, o nombra el commit con ref.',
  ],
  [
    'is missing now',
    'Devuelve el archivo de entorno a su sitio; si ya no hace falta, nombra el commit con ref una vez.',
  ],
  ['has git submodules', 'Construye en el trabajo (build-on: runner).'],
  ["There is no place for the deploy's own folder", 'Ejecuta el comando del mensaje, que crea una.'],
  [
    'another program than the worker writes into the record of this run',
    'Mira qué programa del usuario de despliegue escribe en events.jsonl.',
  ],
  [
    'what the run did there is not known from its record',
    'Mira en el servidor qué versión está, y qué hace allí el build.',
  ],
  [
    'the answer of the worker is not understood',
    'Mira qué ejecuta al entrar el usuario de despliegue (su perfil, su Node).',
  ],
  [
    'the last warm build failed',
    'El build anterior tenía cachés y falló: este no las recibe, por si eran el motivo. El siguiente sí.',
  ],
  ['warm builds did not end', 'Los builds con cachés no terminaron: este no las recibe. El siguiente sí.'],
  [
    'build caches left out',
    'Pasan de 2 GB, o queda menos de 1 GB libre. build-cache: off borra lo guardado.',
  ],
  [
    'The new version was healthy, and fell within',
    'watch la retiró: mira qué imprimió en el servidor (memoria que crece, una conexión que no se devuelve).',
  ],
  [
    'not looked at this time, which is no verdict',
    'Una mirada de watch no llegó al servidor; no se decide nada por eso.',
  ],
  ['without a server there is no code that it could put back', 'Quita watch, o da ssh-host.'],
  [
    'breaks on the new schema',
    'La versión en marcha responde mal desde las migraciones: que solo añadan, y lo que borran espere con -- deploy: after-health.',
  ],
  ['since the down files ran', 'Dice si las migraciones eran la causa.'],
  [
    'is not asked on the new schema',
    'No es un fallo: no se mira si las migraciones dañan la versión en marcha, y por qué.',
  ],
  [
    'is asked no more after',
    'No es un fallo: el resto de las peticiones se guarda para probar la versión nueva.',
  ],
  ['are free where the backup goes', 'Libera espacio para la copia; no se cambió nada.'],
  ['taken over as they are', 'No es un fallo: el commit tiene el mismo archivo.'],
  [
    'collisions with files on the server: not checked',
    'El plan no pudo mirarlo; el despliegue mira antes de cambiar nada.',
  ],
  [
    'and health-from: none would never ask it',
    'Quita health-from: none. Si el puerto es para otra cosa: app-name: NOMBRE none.',
  ],
  [
    'the PM2 entry stays as it is',
    'El archivo ecosystem dice otra cosa que PM2: ecosystem: follow sigue al archivo, ecosystem: keep a PM2.',
  ],
  ['does not follow the commits', 'ecosystem: follow hace que la entrada de PM2 siga al archivo del commit.'],
  [
    'alone, and it is asked on 127.0.0.1',
    'Haz que la aplicación escuche en 127.0.0.1 (HOST, HOSTNAME, -H), o en todas las direcciones tras el cortafuegos.',
  ],
  ['listens on the Unix socket', 'Dale un puerto en 127.0.0.1, y ese puerto al servidor web.'],
  [
    'It speaks TLS on its own port',
    'Se le pregunta por HTTP en el servidor: deja TLS al servidor web que tiene delante.',
  ],
  [
    'The server has files that are in no commit',
    'Puede que el build necesite uno de ellos: nómbralo en shared-paths.',
  ],
  [
    'does not let this login go on to',
    'El host de salto prohíbe seguir: AllowTcpForwarding y PermitOpen en su sshd_config.',
  ],
  ['PM2 does not take', 'El archivo ecosystem tiene un valor que PM2 no admite.'],
  ['PM2 did not take the entry of', 'El comando del mensaje la devuelve; la entrada está guardada entera.'],
  // Rollback
  ['was overtaken', 'Deshaz primero la ejecución posterior, o ve detrás de las dos con rollback-to.'],
  ['came after what is live', 'Eso no es volver atrás: despliégalo con mode: deploy y ref.'],
  [
    'different commits',
    'Nombra con rollback-to el commit que todos deben servir, o la ejecución con run-id.',
  ],
  [
    'There is no verified release before the live one',
    'No hay nada que reponer sin build: despliega un commit bueno con ref.',
  ],
  ['was never live and verified', 'No hay nada que reponer sin build: despliega un commit bueno con ref.'],
  ['nothing was undone', 'Uno de los archivos no tiene .down.sql: pide menos pasos, o escríbelo.'],
  ['cannot be undone alone', 'Deshaz también las migraciones posteriores.'],
  [
    'is recorded in this database',
    'Nombra las migraciones con rollback-steps, o di rollback-database: keep.',
  ],
  [
    'the down files would delete data that is not of this run',
    'Guarda antes esas filas, o di allow-data-loss: true.',
  ],
  [
    'the down files do not give back the schema as it was before the run',
    'Completa el archivo .down.sql y empieza la vuelta atrás otra vez.',
  ],
];
