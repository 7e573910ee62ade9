-- What the fraudsters did meanwhile: case figures by week, area and kind of fraud, as the police or
-- the county enter them. No row says anything of a person.
CREATE TABLE fraud_types (
    key text PRIMARY KEY CHECK (key ~ '^[A-Z][0-9]{2,3}$'),
    position smallint NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    english text NOT NULL,
    -- How texts call it: what fills the variable 类型.
    in_texts text NOT NULL,
    four_high boolean NOT NULL
);
INSERT INTO fraud_types (key, position, slug, name, english, in_texts, four_high) VALUES
    ('T01', 1, 'task', '刷单返利', 'fake tasks and rebates', '刷单返利', true),
    ('T02', 2, 'invest', '虚假网络投资理财', 'fake online investment', '虚假投资理财', true),
    ('T03', 3, 'shopping', '虚假购物、服务', 'fake shopping and services', '虚假购物服务', false),
    ('T04', 4, 'refund', '冒充电商物流客服（网购退赔）', 'fake shop or parcel customer service, refund', '冒充客服', true),
    ('T05', 5, 'loan', '虚假网络贷款', 'fake online loan', '虚假贷款', true),
    ('T06', 6, 'credit', '虚假征信', 'fake credit repair', '虚假征信', false),
    ('T07', 7, 'boss', '冒充领导、熟人', 'impersonating a superior or acquaintance', '冒充领导熟人', false),
    ('T08', 8, 'police', '冒充公检法及政府机关', 'impersonating police, court, government', '冒充公检法', false),
    ('T09', 9, 'romance', '网络婚恋、交友', 'online romance', '网络婚恋交友', false),
    ('T10', 10, 'game', '网络游戏产品虚假交易', 'fake trade in game items', '游戏交易', false),
    ('T11', 11, 'flight', '机票退改签', 'flight change and refund', '机票退改签', false),
    ('T12', 12, 'teacher', '冒充老师收费', 'impersonating a teacher', '冒充老师', false),
    ('T13', 13, 'pension', '养老、保健品', 'pension and health products', '养老诈骗', false),
    ('T14', 14, 'cards', '两卡、帮信、手机口', 'renting out SIM and bank cards', '两卡', false),
    ('T15', 15, 'deepfake', 'AI换脸拟声', 'deepfake face or voice', 'AI换脸', false),
    ('T16', 16, 'phish', 'ETC、医保、社保等钓鱼', 'phishing in the name of ETC, health or social insurance', '钓鱼短信', false),
    ('T17', 17, 'job', '高薪出国务工', 'well-paid job abroad', '高薪招聘', false),
    ('T18', 18, 'prize', '虚假中奖', 'fake prize', '虚假中奖', false);

-- A file of figures. The report holds counts and places of rejected rows, no cell of them.
CREATE TABLE case_imports (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    created_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    weeks text[] NOT NULL CHECK (cardinality(weeks) > 0),
    file_sha256 text NOT NULL,
    report jsonb NOT NULL,
    undone_at timestamptz,
    undone_by uuid REFERENCES users,
    CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE INDEX case_imports_by ON case_imports (created_by, id);

CREATE TABLE case_figures (
    import_id uuid NOT NULL REFERENCES case_imports,
    week text NOT NULL,
    -- A village, or a town where no more is known.
    area_code text NOT NULL REFERENCES areas,
    fraud_type text NOT NULL REFERENCES fraud_types,
    cases integer NOT NULL CHECK (cases >= 0),
    loss_yuan bigint NOT NULL CHECK (loss_yuan >= 0),
    -- The largest single case, where the rows say it.
    largest_case_yuan bigint,
    PRIMARY KEY (import_id, week, area_code, fraud_type),
    CHECK (cases > 0 OR loss_yuan = 0),
    CHECK (largest_case_yuan <= loss_yuan)
);

-- Which import says what a week was: an import takes over its weeks, whole, and gives them back when
-- it is undone. Rows are ended, never deleted, so what held at any time can be told.
CREATE TABLE case_weeks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    week text NOT NULL CHECK (week ~ '^20[0-9]{2}-W[0-5][0-9]$'),
    import_id uuid NOT NULL REFERENCES case_imports,
    since timestamptz NOT NULL,
    until timestamptz,
    -- The row of the week that this one took over from, which holds again if it is undone.
    replaced_id bigint REFERENCES case_weeks
);
CREATE UNIQUE INDEX case_weeks_in_force ON case_weeks (week) WHERE until IS NULL;
CREATE INDEX case_weeks_import ON case_weeks (import_id);
CREATE INDEX case_weeks_replaced ON case_weeks (replaced_id);

-- What of the figures is shown to whom, as the county sets it; the last row is in force.
CREATE TABLE case_settings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bulletin_villages text NOT NULL CHECK (bulletin_villages IN ('own', 'all')),
    public_towns text NOT NULL CHECK (public_towns IN ('week', 'quarter')),
    -- The quarter from which on public_towns holds, and what holds until then: never both in one.
    towns_from text NOT NULL,
    before text NOT NULL CHECK (before IN ('week', 'quarter')),
    reason text NOT NULL,
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL
);
