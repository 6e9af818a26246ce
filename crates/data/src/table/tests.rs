use super::*;

/// The columns, and the rows that can and cannot be read.
type Read = (IndexSet<String>, Vec<Row>, Vec<Malformed>);

fn read(name: &str, bytes: &[u8]) -> Result<Read, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let table = Table::new("d", &path)?;
    let (mut rows, mut malformed) = (Vec::new(), Vec::new());
    table.rows(|row| {
        match row {
            Ok(row) => rows.push(row),
            Err(line) => malformed.push(line),
        }
        ControlFlow::Continue(())
    })?;
    Ok((table.columns()?, rows, malformed))
}

#[test]
fn the_formats_give_the_same_cells() {
    let csv = "\u{feff}path,text\n\"a,b.wav\",\" said \"\"yes\"\" \"\nc.wav,\n";
    let tsv = "path\ttext\na,b.wav\tsaid \"yes\"\nc.wav\t\n";
    let jsonl = "\u{feff}{\"path\":\"a,b.wav\",\"text\":\"said \\\"yes\\\"\"}\n\n{\"path\":\"c.wav\",\"text\":null}";
    for (name, text) in [("a.csv", csv), ("a.TSV", tsv), ("a.txt", tsv), ("a.jsonl", jsonl)] {
        let (columns, rows, malformed) = read(name, text.as_bytes()).unwrap();
        let cells: Vec<_> = rows.iter().map(|row| (row.cell("path"), row.cell("text"))).collect();
        assert_eq!(cells, [(Some("a,b.wav"), Some("said \"yes\"")), (Some("c.wav"), None)]);
        assert_eq!((columns.len(), malformed.len()), (2, 0), "{name}");
    }
}

#[test]
fn broken_lines_are_all_named() {
    let lines = |malformed: &[Malformed]| malformed.iter().map(|(line, _)| *line).collect::<Vec<_>>();
    let (_, rows, malformed) = read("a.csv", b"path,text\na\nb,x\nc,d,e\n").unwrap();
    assert_eq!((rows.len(), lines(&malformed)), (1, vec![2, 4]));
    let (_, rows, malformed) = read("a.jsonl", b"{\"path\":[1]}\n[]\n{\"path\":\"x\"}\n7\n").unwrap();
    assert_eq!((rows.len(), lines(&malformed)), (2, vec![2, 4]));
    assert_eq!((rows[0].cell("path"), rows[0].nested("path")), (None, Some("[1]")));
    let (_, rows, malformed) = read("a.csv", b"path,text\na,\"open\nb,x\nc,y\n").unwrap();
    assert_eq!((rows.len(), lines(&malformed)), (0, vec![2]));
    assert!(malformed[0].1.contains("quotation mark"));
    let closed = read("a.csv", b"path,text\na,\"two\nlines\n\"\nb,\"x\"").unwrap();
    assert_eq!((closed.1.len(), closed.2.len()), (2, 0));
}

#[test]
fn lines_are_numbered_as_editors_number_them() {
    let text = "# made by me\n\nsep=;\npath;text\na;\"one\ntwo\"\n\nb;x\n;\nc;y;z\n\n\nd;z;;\ne";
    for end in ["\n", "\r\n", "\r"] {
        let (columns, rows, malformed) = read("a.csv", text.replace('\n', end).as_bytes()).unwrap();
        assert_eq!(columns.iter().collect::<Vec<_>>(), ["path", "text"]);
        let numbers: Vec<(u64, &str)> = rows.iter().map(|row| (row.number, row.cell("path").unwrap())).collect();
        assert_eq!(numbers, [(5, "a"), (8, "b"), (13, "d")], "{end:?}");
        let numbers: Vec<u64> = malformed.iter().map(|(line, _)| *line).collect();
        assert_eq!(numbers, [10, 14], "{end:?}");
        let jsonl = "\n{\"path\":\"a\"}\n\n7\n{\"path\":\"b\"}".replace('\n', end);
        let (_, rows, malformed) = read("a.jsonl", jsonl.as_bytes()).unwrap();
        assert_eq!((rows[0].number, malformed[0].0, rows[1].number), (2, 4, 5), "{end:?}");
    }
}

#[test]
fn what_is_no_table_is_told_with_what_it_is_and_what_to_do() {
    for (name, bytes, what, remedy) in [
        (
            "a.csv",
            &b"path,text\r\nx,Tr\xe4nen\r\n"[..],
            "line 2 has the byte 0xe4",
            "CSV UTF-8",
        ),
        ("a.jsonl", b"{}\n\xff\n", "line 2 has the byte 0xff", "UTF-8"),
        ("a.csv", b"PK\x03\x04\x14\x00\x06\x00", "workbook", "CSV UTF-8"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "older Excel", "CSV UTF-8"),
        (
            "a.csv",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "Git LFS pointer",
            "git lfs pull",
        ),
        ("a.csv", b"<!DOCTYPE html>", "web page", "download"),
        ("a.csv", b"path,text\na\0,b\n", "NUL", "export"),
        ("a.csv", b"\"path,text\na,b\n", "quotation mark", "close"),
        ("a.jsonl", b"[{\"path\":\"a.wav\"}]", "one JSON list", "jq -c"),
    ] {
        let Err(error) = read(name, bytes) else {
            panic!("{name} {what}")
        };
        assert!(error.to_string().contains(what), "{error}");
        assert!(
            error.help().is_some_and(|help| help.contains(remedy)),
            "{error}: {:?}",
            error.help()
        );
    }
}

#[test]
fn repeated_columns_unknown_formats_and_what_is_no_file_are_refused() {
    assert!(matches!(
        read("a.csv", b"path,path\n"),
        Err(DataError::RepeatedColumn { .. })
    ));
    // Spreadsheets name no column to the right of a table.
    assert_eq!(read("a.csv", b"path,text,,\na,b,,\n").unwrap().0.len(), 3);
    assert!(matches!(read("a.xlsx", b""), Err(DataError::ManifestFormat { .. })));
    let folder = tempfile::Builder::new().suffix(".csv").tempdir().unwrap();
    let table = Table::new("d", folder.path()).unwrap();
    let error = table.columns().unwrap_err().to_string();
    assert!(error.contains("is a folder, not a file"), "{error}");
    #[cfg(unix)]
    {
        let device = folder.path().join("zero.csv");
        std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
        let error = Table::new("d", &device).unwrap().columns().unwrap_err().to_string();
        assert!(error.contains("is a device, not a file"), "{error}");
        let pipe = folder.path().join("pipe.csv");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = Table::new("d", &pipe).unwrap().columns().unwrap_err().to_string();
        assert!(error.contains("is a pipe, not a file"), "{error}");
    }
}
